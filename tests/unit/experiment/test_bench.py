import json

from tickloom.bench.experiment import run
from tickloom.experiment.simulation import CASES
from tickloom.experiment.watch_simulation import CASES as WATCHED


def test_the_benchmark_has_error_rate_bound_and_power_of_every_case():
    said = []
    result = run(said.append, runs=20)
    assert len(said) == len(CASES) + len(WATCHED)
    figures = json.loads(result.to_json())["figures"]
    for case in CASES:
        assert figures[f"type_1_rate_{case.name}"] <= figures[f"type_1_upper_bound_{case.name}"]
        assert figures[f"power_lower_bound_{case.name}"] <= figures[f"power_{case.name}"]
    assert figures["power_h5"] == min(figures[f"power_{it.name}"] for it in CASES if it.horizon == 5)
    for case in WATCHED:
        assert figures[f"false_rollback_rate_{case.name}"] <= figures[f"false_rollback_bound_{case.name}"]
        assert figures[f"rollback_power_5pct_{case.name}"] <= figures[f"rollback_power_20pct_{case.name}"]
