"""How many weights the networks have, beside what the reports that describe them state."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Size:
    """How many numbers a network learns.

    Attributes
    ----------
    stated : int
        By the report that describes it.
    ours : int
        With 44 features and five sessions ahead.
    why : str
        Where the difference comes from.
    """

    stated: int
    ours: int
    why: str


SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "lstm": Size(
            125_000,
            170_355,
            "The stated layers of 100, 100 and 50 units cannot have 125 thousand: with a single input they have "
            "151,400 weights, and 168,600 with 44. A second bias in each layer adds 1,000, normalisation 500, five "
            "outputs 255.",
        ),
        "bilstm": Size(
            210_000,
            211_125,
            "Sizes are not stated; 64, 64 and 40 units in each direction were chosen to come near.",
        ),
        "attention_lstm": Size(
            245_000,
            244_613,
            "Sizes are not stated; two layers of 128 units and an attention of 128 were chosen to come near.",
        ),
        "multihead_lstm": Size(
            280_000,
            288_645,
            "Four heads with keys of 32 are stated; two layers of 128 units below them were chosen, as four heads "
            "need. With 20 features and one output it is 275,841.",
        ),
        "ensemble": Size(
            650_000,
            644_624,
            "Sizes are not stated; the branches are the simple LSTM, a GRU of the same units, and a Transformer of "
            "two layers with 4 heads of 32 and 400 inner units, which were chosen to come near.",
        ),
        "stacked_lstm": Size(
            52_033,
            63_685,
            "The report gives no count; its layers of 64, 64 and 32 have 52,033 with one input and one output. 43 "
            "more features add 11,008, a second bias in each layer 512, four more outputs 132.",
        ),
    }
)
