"""An MLflow whose tickers have versions and aliases; there are no files behind them, for nobody loads one."""

from contextlib import contextmanager

import pytest

from tickloom.forecast.registry import Registry


class Registered(Registry):
    """A registry in a database of its own."""

    def __init__(self, folder):
        super().__init__(f"sqlite:///{folder / 'mlflow.db'}")

    def add(self, market, ticker, **aliases):
        """Register version 1 and as many as the aliases need, each with its model's name."""
        name = f"tickloom.{market}.{ticker}"
        self._client.create_registered_model(name)
        for number in range(1, max(aliases.values()) + 1):
            models = [alias.removeprefix("challenger_") for alias, at in aliases.items() if at == number]
            model = models[0] if models else "none"
            self._client.create_model_version(name, "file:///none", tags={"model": model, "verdict": "none"})
        for alias, number in aliases.items():
            self.move_alias(market, ticker, alias.replace("_", "-"), number)

    def aliases(self, market, ticker):
        return self.catalogue()[market, ticker]


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_after(moves):
    """Have the block end as a process does that is killed when so many aliases were moved."""
    real, moved = Registered.move_alias, []

    def dies(self, *move):
        if len(moved) == moves:
            raise Killed
        moved.append(move)
        real(self, *move)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registered, "move_alias", dies)
        with pytest.raises(Killed):
            yield
