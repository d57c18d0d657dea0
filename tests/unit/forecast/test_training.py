import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.forecast.series import frame
from tests.unit.forecast.small import same, small
from tickloom.errors import TickloomError
from tickloom.forecast.training import _steps

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def walk():
    return frame(500, seed=2)


@pytest.fixture(scope="module", params=["lstm", "ensemble"])
def name(request):
    return request.param


def test_a_seed_gives_the_same_bits_and_another_others(name, walk):
    first = small(name).fit(walk, seed=7)
    torch.manual_seed(123)  # what others did to torch's chance
    torch.rand(3)
    assert same(first, small(name).fit(walk, seed=7))
    assert not same(first, small(name).fit(walk, seed=8))


def test_torch_is_left_as_it_was(walk):
    torch.manual_seed(5)
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state())
    small(threads=2, epochs=1).fit(walk).predict(walk)
    after = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state())
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


def test_progress_tells_each_epoch(walk):
    told = []
    small(epochs=4).fit(walk, progress=lambda share, figures: told.append((share, dict(figures))))
    assert [share for share, _ in told] == [0.25, 0.5, 0.75, 1.0]
    assert [figures["epoch"] for _, figures in told] == [1, 2, 3, 4]
    assert set(told[0][1]) == {"epoch", "loss", "val_loss", "lr"}


def test_early_stopping_keeps_the_best_epoch_and_the_rate_falls(walk):
    model = small(epochs=40, patience=4, plateau=1, learning_rate=0.02).fit(walk, seed=1)
    losses = [it["val_loss"] for it in model.epochs]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 4 < 40
    assert model.parameters()["best_epoch"] == best + 1
    assert same(model, small(epochs=best + 1, patience=40, plateau=1, learning_rate=0.02).fit(walk, seed=1))
    assert model.epochs[-1]["lr"] < model.epochs[0]["lr"] == 0.02


def test_a_killed_training_goes_on_to_the_same_result(name, walk, tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.unit.forecast.series import frame\n"
        "from tests.unit.forecast.small import small\n"
        "def tell(share, figures):\n"
        "    print(int(figures['epoch']), flush=True)\n"
        "    sys.stdin.readline()\n"
        f"small({name!r}, epochs=5, checkpoints=Path(sys.argv[1])).fit(frame(500, seed=2), seed=4, progress=tell)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "1\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "2\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    told = []
    resumed = small(name, epochs=5, checkpoints=tmp_path).fit(
        walk, seed=4, progress=lambda share, figures: told.append(figures["epoch"])
    )
    whole = small(name, epochs=5).fit(walk, seed=4)
    assert told == [3, 4, 5]
    assert same(resumed, whole)
    assert resumed.epochs == whole.epochs


def test_a_finished_training_is_not_repeated_and_another_has_its_own_file(walk, tmp_path):
    first = small(checkpoints=tmp_path).fit(walk, seed=0)
    told = []
    again = small(checkpoints=tmp_path).fit(walk, seed=0, progress=lambda share, figures: told.append(share))
    assert told == [1.0]
    assert same(first, again)
    assert len(list(tmp_path.iterdir())) == 1
    small(checkpoints=tmp_path).fit(walk, seed=1)
    small(checkpoints=tmp_path).fit(walk.first(490), seed=0)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_broken_checkpoint_is_named(walk, tmp_path):
    small(checkpoints=tmp_path, epochs=1).fit(walk)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"torn")
    with pytest.raises(TickloomError, match=f"{path.name}: holds no state of a training .* remove it to begin anew"):
        small(checkpoints=tmp_path, epochs=1).fit(walk)


def test_a_loss_that_is_no_number_is_said(walk):
    with pytest.raises(TickloomError, match="take a lower learning_rate than 1e\\+38"):
        small(learning_rate=1e38).fit(walk)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_said(walk):
    with pytest.raises(TickloomError, match="torch finds no GPU here; take device 'auto' or 'cpu'"):
        small(device="cuda").fit(walk)


def test_no_batch_has_a_single_window():
    assert [len(it) for it in _steps(torch.arange(9), 4)] == [4, 5]
    assert [len(it) for it in _steps(torch.arange(10), 4)] == [4, 4, 2]
    assert torch.cat(_steps(torch.arange(9), 4)).tolist() == list(range(9))


def test_forecasts_shrink_to_what_the_validation_supports(walk):
    plain, shrunk = (small(epochs=3, shrink=it).fit(walk, seed=3) for it in (False, True))
    shares = np.array(shrunk.parameters()["shrinkage"])
    assert plain.parameters()["shrinkage"] == [1.0] * len(shares)
    assert ((shares >= 0) & (shares <= 1)).all()
    rows = shrunk.parts(walk).validation
    before, after = plain.predict(walk, rows).mean, shrunk.predict(walk, rows).mean
    np.testing.assert_allclose(after, before * shares, atol=1e-7)
    came = walk.targets(shrunk.horizon)[rows]
    least = np.clip((before * came).sum(0) / (before**2).sum(0), 0, 1)
    np.testing.assert_allclose(shares, least, atol=1e-3)
