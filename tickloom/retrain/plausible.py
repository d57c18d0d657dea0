"""What of a plan makes the gate refuse whatever is learned, known before anything is."""

from collections.abc import Mapping
from math import ceil

from tickloom.errors import TickloomError
from tickloom.forecast.intervals import CALIBRATION
from tickloom.retrain.division import least_cutoffs
from tickloom.retrain.limits import Limits


def check_plan(*, horizon: int, folds: int, test: int, gate: int, limits: Mapping[str, float] | None = None) -> None:
    """Refuse a plan with which no challenger could pass the gate.

    Intervals are made of the errors of the walk-forward, of which there are ``folds`` × ``test`` for each number of
    sessions ahead; they need more than ``CALIBRATION``. The gate has ``gate - horizon + 1`` cutoffs, or fewer where the
    champion has learned later.

    Raises
    ------
    TickloomError
        The gate could not judge coverage, or losses, or would have fewer cutoffs than its limit ``sessions``.
    ConfigurationError
        A limit is unknown.
    """
    errors, cutoffs = folds * test, gate - horizon + 1
    if errors <= CALIBRATION:
        needed = CALIBRATION + 1
        raise TickloomError(
            f"folds {folds} of test {test} sessions give {errors} forecasts of the walk-forward, and intervals need "
            f"{needed}, without which the gate refuses every challenger; take folds {ceil(needed / test)} or test "
            f"{ceil(needed / folds)}, or more"
        )
    wanted, comparable = Limits.of(limits).sessions, least_cutoffs(horizon)
    least = ceil(max(wanted, comparable))
    if cutoffs < least:
        why = f"its limit sessions is {wanted:g}" if wanted >= comparable else f"horizon {horizon} wants so many"
        lower = f", or a limit sessions of {comparable} or more" if comparable <= cutoffs else ""
        raise TickloomError(
            f"gate {gate} gives {cutoffs} cutoffs with outcomes {horizon} sessions ahead, and the gate refuses every "
            f"challenger with fewer than {least} ({why}); take gate {least + horizon - 1} or more{lower}"
        )
