"""Which version answers: the arm that an experiment gives a request, as a version of the ticker's model."""

from collections.abc import Iterable, Mapping

from tickloom.experiment.manifest import DEFAULT, Experiment
from tickloom.experiment.modes import Weights
from tickloom.experiment.ratio import Tally
from tickloom.experiment.routing import Router
from tickloom.experiment.spec import CHAMPION
from tickloom.serving.catalogue import Catalogue
from tickloom.serving.routed import Caller, Routed


class Routes:
    """Gives requests to arms, and arms their versions.

    Parameters
    ----------
    experiments
        Those that run.
    weights
        Present weights by experiment's name; those of the file where there are none.
    fixed
        Arm that this process answers with whatever the weights say, where arms have Services of their own.
    tallies
        By experiment, what counts its keys.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment] = (),
        weights: Mapping[str, Weights] | None = None,
        fixed: str | None = None,
        tallies: Mapping[str, Tally] | None = None,
    ) -> None:
        self.experiments = {it.name: it for it in experiments}
        self._tallies = tallies or {}
        self._router = Router(self.experiments.values(), weights)
        self._models = {name: {arm.name: arm.model for arm in it.spec.arms} for name, it in self.experiments.items()}
        self._taken = {
            (it.spec.market, ticker): name
            for name, it in self.experiments.items()
            for ticker in (it.spec.tickers or (None,))
        }
        self._fixed = fixed
        self._catalogue = Catalogue()
        self._versions: dict[tuple[str, str], dict[str, str]] = {}

    def __call__(self, catalogue: Catalogue, market: str, ticker: str, caller: Caller) -> Routed | None:
        """Return who answers; None where no model can."""
        if catalogue is not self._catalogue:
            self._catalogue, self._versions = catalogue, {}
        place = (market, ticker)
        versions = self._versions.get(place)
        if versions is None:
            versions = self._versions[place] = self._of(market, ticker)
        found = self._router.assign(
            market, ticker, client=caller.name, headers=caller.headers, available=versions.keys()
        )
        if found.experiment == DEFAULT:
            version = catalogue.version(market, ticker, CHAMPION)
            return None if version is None else Routed(DEFAULT, CHAMPION, version)
        arm, shadows = found.arm, found.shadows
        if self._fixed is not None and self._fixed in versions:
            arm, shadows = self._fixed, tuple(it for it in (found.arm, *shadows) if it != self._fixed)
        else:
            tally = self._tallies.get(found.experiment)
            if tally is not None:
                tally.record(found.key, arm)
        beside = tuple((name, versions[name]) for name in shadows)
        return Routed(found.experiment, arm, versions[arm], beside, found.epoch)

    def _of(self, market: str, ticker: str) -> dict[str, str]:
        """Return the version of each arm that a ticker has a model for."""
        name = self._taken.get((market, ticker)) or self._taken.get((market, None))
        found = {}
        for arm, model in self._models.get(name or "", {}).items():
            version = self._catalogue.version(market, ticker, model)
            if version is not None:
                found[arm] = version
        return found

    def without_models(self, catalogue: Catalogue) -> list[str]:
        """Return a sentence for each ticker of an experiment that takes no part, because an arm has no model."""
        said = []
        for name, it in self.experiments.items():
            market = it.spec.market
            tickers = it.spec.tickers or tuple(ticker for where, ticker in catalogue.aliases if where == market)
            for ticker in tickers:
                lacking = [arm.name for arm in it.spec.arms if catalogue.version(market, ticker, arm.model) is None]
                if lacking:
                    aliases = ", ".join(it.arm(arm).model for arm in lacking)
                    why = catalogue.waiting.get((market, ticker))
                    said.append(
                        f"Experiment {name}: {ticker} takes no part, for it has no version {aliases}"
                        + (
                            f" that is ready, {why}"
                            if why
                            else f"; `tickloom experiment arm {lacking[0]} --ticker {ticker} --version N` names one"
                        )
                    )
        return said
