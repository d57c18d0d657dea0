"""The steps in their order; each takes JSON types and folders, writes into ``out`` and returns what it found."""

from tickloom.retrain.comparison import compare
from tickloom.retrain.division import split
from tickloom.retrain.extraction import extract
from tickloom.retrain.featuring import features
from tickloom.retrain.gating import fair, gate
from tickloom.retrain.judging import evaluate
from tickloom.retrain.registration import register
from tickloom.retrain.reporting import report
from tickloom.retrain.training import train
from tickloom.retrain.tuning import tune
from tickloom.retrain.validation import validate

__all__ = [
    "compare", "evaluate", "extract", "fair", "features", "gate", "register", "report", "split", "train", "tune",
    "validate",
]  # fmt: skip
