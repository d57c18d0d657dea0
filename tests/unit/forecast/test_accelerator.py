"""The benchmark of a GPU, on the processor: what it measures is the same, but for how busy the GPU is."""

from tests.unit.forecast.series import frame
from tickloom.bench.accelerator import bare, trained


def test_both_loops_count_windows_of_the_same_training():
    series = frame(500, seed=1)
    ours, plain = (it(series, "cpu", epochs=2, width=0.05) for it in (trained, bare))
    assert ours.windows_per_second > 0
    assert plain.windows_per_second > 0
    assert ours.utilisation is plain.utilisation is None
