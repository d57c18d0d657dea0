"""What an indicator is: its name, parameters, warm-up, formula, source, and how it differs from TA-Lib."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tickloom.errors import TickloomError

Numbers = tuple[float, ...]
WINDOW = "window"
SKIP = "skip"
SESSION = "session"
NONE = "none"
UNKNOWN_RULES: Mapping[str, str] = MappingProxyType(
    {
        WINDOW: "NaN while an unknown value stands in the window, exact again once it has left",
        SKIP: "NaN on a row with an unknown input; that row is left out, the next one follows the last complete row",
        SESSION: "NaN from a row with an unknown input to the end of its session",
        NONE: "reads the date alone",
    }
)
MAX_WINDOW = 1000


@dataclass(frozen=True)
class Indicator:
    """One output column.

    Attributes
    ----------
    name : str
        The column's name; it carries the parameters where they are not the defaults.
    family : str
        The name without parameters.
    kernel : str
        The compiled loop; indicators with the same kernel and arguments share one state.
    arguments : tuple of float
        What the kernel is called with.
    output : int
        Which of the kernel's outputs this is.
    outputs : tuple of str
        Families of all outputs of the kernel, in their order.
    inputs : tuple of str
        Columns read.
    parameters : mapping of str to float
        By name.
    warmup : int
        Number of leading NaN rows of a series without unknown values.
    formula, source : str
        Definition in words, and the book or paper that it comes from.
    talib : str or None
        The reference call, a Python expression over ``high, low, close, volume``.
    differences : tuple of str
        Where the values deviate from the reference call on purpose.
    unknown : str
        Key of ``UNKNOWN_RULES``: what a NaN in an input does.
    """

    name: str
    family: str
    kernel: str
    arguments: Numbers
    output: int
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    parameters: Mapping[str, float]
    warmup: int
    formula: str
    source: str
    talib: str | None
    differences: tuple[str, ...]
    unknown: str


@dataclass(frozen=True)
class Family:
    """A template of indicators: ``make`` fills in the parameters.

    Attributes
    ----------
    parameters : tuple of (str, float)
        Names and defaults. A float default makes the parameter a real number, an int default a whole one.
    defaults : tuple of tuple
        The parameter sets that the registry lists.
    suffixed : bool
        Whether the listed names carry their parameters (``sma_20``) or stand bare (``macd``).
    arguments : callable or None
        From the parameters to the kernel's arguments; None passes them on.
    warmup : callable
        From the parameters to the number of leading NaN rows.
    talib : callable or None
        From the parameters to the reference call.
    least : int
        Smallest whole parameter.
    rising : int
        How many of the first parameters must strictly rise.
    """

    name: str
    kernel: str
    output: int
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    warmup: Callable[[Numbers], float]
    formula: str
    source: str
    parameters: tuple[tuple[str, float], ...] = ()
    defaults: tuple[Numbers, ...] = ((),)
    suffixed: bool = False
    arguments: Callable[[Numbers], Numbers] | None = None
    talib: Callable[[Numbers], str] | None = None
    differences: tuple[str, ...] = ()
    unknown: str = WINDOW
    least: int = 1
    rising: int = 0

    def label(self, values: Numbers) -> str:
        """Return the name that carries the values."""
        return "_".join([self.name, *(f"{value:g}" for value in values)])

    def make(self, name: str, values: Numbers) -> Indicator:
        """Return the indicator with these parameters.

        Raises
        ------
        TickloomError
            A parameter is out of its range.
        """
        self._check(name, values)
        return Indicator(
            name=name,
            family=self.name,
            kernel=self.kernel,
            arguments=self.arguments(values) if self.arguments else values,
            output=self.output,
            outputs=self.outputs,
            inputs=self.inputs,
            parameters=MappingProxyType(dict(zip((key for key, _ in self.parameters), values, strict=True))),
            warmup=int(self.warmup(values)),
            formula=self.formula,
            source=self.source,
            talib=self.talib(values) if self.talib else None,
            differences=self.differences,
            unknown=self.unknown,
        )

    def _check(self, name: str, values: Numbers) -> None:
        whole: list[float] = []
        for (key, default), value in zip(self.parameters, values, strict=True):
            if isinstance(default, int):
                whole.append(value)
                if value != int(value) or not self.least <= value <= MAX_WINDOW:
                    raise TickloomError(
                        f"indicator {name!r}: {key} {value:g} must be a whole number from {self.least} to {MAX_WINDOW}"
                    )
            elif not 0 < value <= 100:
                raise TickloomError(f"indicator {name!r}: {key} {value:g} must be above 0 and at most 100")
        rising = whole[: self.rising]
        if rising != sorted(set(rising)):
            given = ", ".join(f"{value:g}" for value in rising)
            raise TickloomError(f"indicator {name!r}: the periods {given} must rise from short to long")
