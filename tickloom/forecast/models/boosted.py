"""Boosted trees on the features of the cutoff."""

import re
from typing import Any, ClassVar

import numpy as np

from tickloom.forecast.features import FeatureFrame
from tickloom.forecast.history import Floats
from tickloom.forecast.models.base import Progress
from tickloom.forecast.models.graphs import OPSETS
from tickloom.forecast.models.linear import training_rows
from tickloom.forecast.models.onnx import OnnxModel
from tickloom.forecast.windows import Windows

_OPTIONS: dict[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "max_bin": 63,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.8,
    "lambda_l2": 1.0,
    "use_missing": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 0,
    "verbosity": -1,
}
_ROUNDS, _PATIENCE = 200, 20
_INPUT = "features"
_CHECKED = 0.15
"""Share of the rows, the last ones, on which the number of trees is chosen."""


class LightGbm(OnnxModel):
    """Gradient-boosted trees of LightGBM, one set for each number of sessions ahead (direct).

    The number of trees is where the error on the last part of the training sessions is least; between that part and
    what comes before lie as many sessions as a target reaches ahead. Then that many trees are grown on all sessions.
    Features are rounded to float32, and so are thresholds, downwards: the ONNX graph takes each branch alike.
    """

    name: ClassVar[str] = "lightgbm"

    _boosters: list[Any]

    @property
    def least_rows(self) -> int:
        """Two years of sessions, as there are some forty features."""
        return 250 + 2 * self.horizon

    def _learn(self, frame: FeatureFrame, seed: int, progress: Progress | None) -> dict[str, Any]:
        import lightgbm

        inputs, targets = training_rows(frame, self.horizon)
        rounded = inputs.astype(np.float32)
        checked = len(rounded) - int(_CHECKED * len(rounded))
        learned = lightgbm.Dataset(rounded[: checked - self.horizon], params=_OPTIONS)
        valid = learned.create_valid(rounded[checked:])
        whole = lightgbm.Dataset(rounded, params=_OPTIONS)
        trees, self._boosters = [], []
        for ahead, target in enumerate(targets.T):
            learned.set_label(target[: checked - self.horizon])
            valid.set_label(target[checked:])
            stop = lightgbm.early_stopping(_PATIENCE, verbose=False)
            found = lightgbm.train(_OPTIONS, learned, _ROUNDS, valid_sets=[valid], callbacks=[stop])
            trees.append(found.best_iteration)
            self._boosters.append(_rounded(lightgbm.train(_OPTIONS, whole.set_label(target), trees[-1])))
            if progress:
                progress((ahead + 1) / self.horizon, {"trees": float(trees[-1])})
        return {"trees": trees}

    def _fitted(self, windows: Windows) -> Floats:
        return np.column_stack([it.predict(windows[:, -1], num_threads=1) for it in self._boosters])

    def _graph(self) -> Any:
        """Return one ensemble of all trees, with as many targets as sessions ahead."""
        from onnx import TensorProto, helper
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        joined: dict[str, Any] = {}
        width, before = len(self.features), 0
        for target, booster in enumerate(self._boosters):
            one = convert_lightgbm(booster, initial_types=[(_INPUT, FloatTensorType([None, width]))], zipmap=False)
            node = next(it for it in one.graph.node if it.op_type == "TreeEnsembleRegressor")
            found = {it.name: helper.get_attribute_value(it) for it in node.attribute}
            count = max(found["target_treeids"]) + 1
            for name in ("nodes_treeids", "target_treeids"):
                found[name] = [it + before for it in found[name]]
            found["target_ids"] = [target] * len(found["target_ids"])
            before += count
            for name, value in found.items():
                joined[name] = [*joined.get(name, []), *value] if isinstance(value, list) else value
        joined["n_targets"] = self.horizon
        node = helper.make_node("TreeEnsembleRegressor", [_INPUT], ["returns"], domain="ai.onnx.ml", **joined)
        graph = helper.make_graph(
            [node],
            self.name,
            [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info("returns", TensorProto.FLOAT, [None, self.horizon])],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _rounded(booster: Any) -> Any:
    """Return the booster with each threshold replaced by the largest float32 that is not above it."""
    import lightgbm

    def lower(found: re.Match[str]) -> str:
        exact = np.array(found[1].split(), np.float64)
        near = exact.astype(np.float32)
        near = np.where(near.astype(np.float64) > exact, np.nextafter(near, np.float32(-np.inf)), near)
        return "threshold=" + " ".join(repr(float(it)) for it in near)

    # the sizes of the trees' texts would no longer hold, and are not needed
    text = re.sub(r"^tree_sizes=.*\n", "", booster.model_to_string(), flags=re.MULTILINE)
    return lightgbm.Booster(model_str=re.sub(r"^threshold=(.*)$", lower, text, flags=re.MULTILINE))
