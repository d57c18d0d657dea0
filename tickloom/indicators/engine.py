"""Indicators over blocks of bars: ``update(state, block) -> (state, values)``.

A batch is one call with a long block, a stream is many calls with short ones; any split gives the same bits.
Importing this module imports numba; the registry does not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tickloom.errors import TickloomError
from tickloom.indicators.compiler import Floats
from tickloom.indicators.layout import OPCODES, SLOTS
from tickloom.indicators.program import WIDTH, runner
from tickloom.indicators.registry import resolve
from tickloom.indicators.saved import Part, pack, unpack
from tickloom.indicators.spec import Indicator


class Block(NamedTuple):
    """Bars of one instrument and interval, oldest first, one array a column, all of one length.

    ``time_us`` is int64, ``day`` int32 (days since 1970 of the exchange's date), the others float64. NaN is an unknown
    value; what an indicator makes of it, its ``unknown`` rule says.
    """

    time_us: npt.NDArray[np.int64]
    day: npt.NDArray[np.int32]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Engine:
    """A chosen list of indicators.

    Parameters
    ----------
    names
        Names of the registry, or with other parameters (``sma_30``), each once.

    Attributes
    ----------
    names : tuple of str
        The columns of the values, in the order given.
    indicators : tuple of Indicator
        Their definitions.

    Raises
    ------
    TickloomError
        A name is unknown or stands twice.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.indicators: tuple[Indicator, ...] = resolve(self.names)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise TickloomError(f"indicators {', '.join(twice)} stand twice in the list; name each once")
        self._parts: list[Part] = []
        self._program, self._initial = self._compose()
        self._header = pack(self.names, self._parts)
        self._run = runner()

    def _compose(self) -> tuple[Floats, Floats]:
        """Lay out one program row and one slice of the state per distinct kernel and arguments."""
        rows: dict[tuple[str, tuple[float, ...]], list[float]] = {}
        initial: list[Floats] = []
        at = 0
        for column, item in enumerate(self.indicators):
            key = (item.kernel, item.arguments)
            if key not in rows:
                slot = SLOTS[item.kernel]
                size = int(slot.size(item.arguments))
                arguments = [*item.arguments, 0.0, 0.0, 0.0][:3]
                unused = [float(len(self.names))] * 5
                rows[key] = [OPCODES.index(item.kernel), at, size, *arguments, *unused]
                label = f"{item.kernel}({','.join(f'{value:g}' for value in item.arguments)})"
                self._parts.append(Part(label, at, size))
                initial.append(np.zeros(size))
                if slot.zeros is not None:
                    initial[-1][slot.zeros :] = np.nan
                at += size
            rows[key][6 + item.output] = column
        program = np.array(list(rows.values()), np.float64).reshape(len(rows), WIDTH)
        return program, np.concatenate([*initial, np.empty(0)])

    def __reduce__(self) -> tuple[type["Engine"], tuple[tuple[str, ...]]]:
        return Engine, (self.names,)

    def initial(self) -> Floats:
        """Return the state before the first bar, float64."""
        return self._initial.copy()

    def update(self, state: Floats, block: Block) -> tuple[Floats, Floats]:
        """Return the state after the block, and the values, float64[rows, len(names)]; ``state`` stays as it is.

        Raises
        ------
        TickloomError
            The state belongs to other indicators, or the columns differ in length.
        """
        _, day, _, high, low, close, volume = block
        rows = len(close)
        if not rows == len(day) == len(high) == len(low) == len(volume):
            raise TickloomError(
                f"block: day, high, low, close, volume have {len(day)}, {len(high)}, {len(low)}, {rows}, {len(volume)} "
                "rows; give columns of one length"
            )
        if len(state) != len(self._initial):
            raise TickloomError(
                f"state of {len(state)} numbers does not belong to these indicators, which need {len(self._initial)}; "
                "carry a state from one engine to another with dump and load"
            )
        after = np.array(state, np.float64)
        out = np.empty((len(self.names) + 1, rows))
        try:
            self._run(self._program, after, day, high, low, close, volume, out)
        except TypeError:
            # another dtype, a stride or a read-only array: the loops are compiled for one kind of array alone
            high, low, close, volume = (np.array(c, np.float64, order="C") for c in (high, low, close, volume))
            self._run(self._program, after, np.array(day, np.int32, order="C"), high, low, close, volume, out)
        return after, out[:-1].T

    def dump(self, state: Floats) -> bytes:
        """Return the state as bytes that name the indicators and their parameters."""
        return self._header + np.asarray(state, "<f8").tobytes()

    def load(self, data: bytes) -> Floats:
        """Return the state of ``dump``, also of an engine with other indicators.

        What both compute carries on, what only this one computes starts fresh, and the rest is dropped.

        Raises
        ------
        TickloomError
            The bytes are no saved state, cut off, or of a version that is not known.
        """
        if data.startswith(self._header) and len(data) == len(self._header) + 8 * len(self._initial):
            return np.frombuffer(data, "<f8", offset=len(self._header)).astype(np.float64)
        saved = unpack(data)
        state = self.initial()
        for part in self._parts:
            values = saved.get(part.label)
            if values is not None and len(values) == part.size:
                state[part.begin : part.begin + part.size] = values
        return state

    def warm(self) -> None:
        """Run once over an empty block, so that the first bar does not wait for the compiler."""
        none = np.empty(0)
        self.update(self.initial(), Block(np.empty(0, np.int64), np.empty(0, np.int32), none, none, none, none, none))
