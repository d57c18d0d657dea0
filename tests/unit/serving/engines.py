"""Trained models and histories for the tests of serving."""

from tests.unit.forecast import series
from tickloom.errors import TickloomError
from tickloom.forecast import package
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.serving.cutoffs import Cutoffs
from tickloom.serving.engine import Engine
from tickloom.serving.packages import Packages


class Folders:
    """A registry whose versions are folders."""

    uri = "folders"

    def __init__(self, root):
        self.root = root
        self.pulled = []

    def put(self, history, version, model="ridge", horizon=2, errors=None, **options):
        """Train a model on a history, and put it under a version."""
        frame = feature_frame(history)
        made = make(model, horizon, **options).fit(frame)
        folder = self.root / history.market / history.ticker / version / "package"
        own = {model: errors} if errors is not None else None
        package.write(folder, made, Manifest.of(made, frame), own)
        return made

    def pull(self, market, ticker, folder, version):
        """Copy a version, as a registry does."""
        import shutil

        self.pulled.append((market, ticker, version))
        source = self.root / market / ticker / version / "package"
        if not source.is_dir():
            raise TickloomError(f"{ticker} on {market} has no version {version!r}")
        shutil.copytree(source, folder / "package")


def engine(tmp_path, histories, registry, **more):
    """Return an engine over histories by ticker; the mapping may change while it runs."""

    def load(market, ticker):
        if ticker not in histories:
            raise TickloomError(f"{ticker} has no history")
        return histories[ticker]

    cutoffs = Cutoffs(load)
    return Engine(Packages(registry, tmp_path / "fetched"), cutoffs, **more), cutoffs


def history(ticker="AAPL", n=500, seed=1, **more):
    """Return a made history."""
    return series.history(n, seed=seed, ticker=ticker, **more)
