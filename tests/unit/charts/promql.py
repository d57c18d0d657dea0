"""What a PromQL expression asks for, and whether there is such a thing: metrics, labels, labels' values."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[str]
SET_OPERATORS = {"and", "or", "unless"}
WITHOUT_LABELS = {"time", "vector", "scalar", "absent"}
GRAFANA = {"$__rate_interval": "5m", "$__range": "1h"}


class WrongQueryError(AssertionError):
    """An expression asks for what there is not."""


@dataclass(frozen=True)
class Known:
    """Metrics that there are.

    Parameters
    ----------
    metrics
        Labels of each, with those that Prometheus adds.
    values
        All values that a metric's label may have, where they are known.
    """

    metrics: Mapping[str, Labels]
    values: Mapping[tuple[str, str], Iterable[str]] = field(default_factory=dict)

    def labels(self, expression: str) -> Labels:
        """Return the labels of an expression's result.

        Raises
        ------
        WrongQueryError
            It is no PromQL, or asks for a metric, a label or a value that there is not.
        """
        for name, value in GRAFANA.items():
            expression = expression.replace(name, value)
        try:
            return self._of(promql.parse(expression))
        except ValueError as error:
            raise WrongQueryError(f"{expression}: {error}") from None

    def _of(self, node: promql.Expr) -> Labels:
        match node:
            case promql.VectorSelector():
                return self._of_selector(node)
            case promql.MatrixSelector():
                return self._of_selector(node.vector_selector)
            case promql.SubqueryExpr() | promql.ParenExpr() | promql.UnaryExpr():
                return self._of(node.expr)
            case promql.AggregateExpr():
                return self._of_aggregation(node)
            case promql.Call():
                inner = [self._of(argument) for argument in node.args]
                if node.func.name in WITHOUT_LABELS:
                    return frozenset()
                found = frozenset().union(*inner)
                return found - {"le"} if node.func.name == "histogram_quantile" else found
            case promql.BinaryExpr():
                return self._of_pair(node)
        return frozenset()

    def _of_selector(self, node: promql.VectorSelector) -> Labels:
        if node.name not in self.metrics:
            raise WrongQueryError(f"{node.prettify()}: nobody exports {node.name}")
        there = self.metrics[node.name]
        for matcher in node.matchers.matchers:
            if matcher.name not in there:
                raise WrongQueryError(f"{node.prettify()}: {node.name} has no label {matcher.name}: {sorted(there)}")
            self._matches(node.name, matcher)
        return there

    def _matches(self, metric: str, matcher: promql.Matcher) -> None:
        known = self.values.get((metric, matcher.name))
        if known is None or matcher.value.startswith("$"):
            return
        plain = matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual)
        parts = [matcher.value] if plain else re.sub(r"\|(?![^(]*\))", "\n", matcher.value).split("\n")
        for part in parts:
            if not any(value == part if plain else re.fullmatch(part, value) for value in known):
                raise WrongQueryError(f"{metric}: {matcher.name} is never {part!r}: {sorted(known)}")

    def _of_aggregation(self, node: promql.AggregateExpr) -> Labels:
        inner = self._of(node.expr)
        if node.modifier is None:
            return frozenset()
        wanted = frozenset(node.modifier.labels)
        if node.modifier.type != promql.AggModifierType.By:
            return inner - wanted
        if missing := wanted - inner:
            raise WrongQueryError(f"{node.prettify()}: no label {', '.join(sorted(missing))} in {sorted(inner)}")
        return wanted

    def _of_pair(self, node: promql.BinaryExpr) -> Labels:
        left, right = self._of(node.lhs), self._of(node.rhs)
        if _scalar(node.lhs) or _scalar(node.rhs):
            return left | right
        matching = node.modifier.matching if node.modifier else None
        operator = str(node.op)
        if matching is not None:
            wanted = frozenset(matching.labels)
            if missing := wanted - (left & right):
                raise WrongQueryError(f"{node.prettify()}: no label {', '.join(sorted(missing))} on both sides")
            return left if operator in SET_OPERATORS else wanted
        if operator not in SET_OPERATORS and left != right:
            raise WrongQueryError(f"{node.prettify()}: {sorted(left)} never matches {sorted(right)}")
        return left


def _scalar(node: promql.Expr) -> bool:
    match node:
        case promql.NumberLiteral():
            return True
        case promql.ParenExpr() | promql.UnaryExpr():
            return _scalar(node.expr)
        case promql.Call():
            return node.func.name in ("time", "scalar")
        case promql.BinaryExpr():
            return _scalar(node.lhs) and _scalar(node.rhs)
    return False


def exposed(text: str) -> dict[str, Labels]:
    """Return the metrics of an exposition with their labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: frozenset(labels) for name, labels in found.items()}


def metrics_in(expression: str) -> Iterator[str]:
    """Yield the names of the metrics that an expression asks for."""
    for name, value in GRAFANA.items():
        expression = expression.replace(name, value)
    found: list[str] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql.VectorSelector):
            found.append(node.name)

    promql.walk(promql.parse(expression), visit)
    yield from found
