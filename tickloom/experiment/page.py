"""The page ``docs/experiments.md``, made from the models of an experiment."""

from pydantic import BaseModel

from tickloom.experiment.spec import Arm, Bandit, Canary, Coverage, End, Guardrails, Spec
from tickloom.manifest.page import fields_table

EXAMPLE = """\
apiVersion: tickloom.dev/v1alpha1
kind: Experiment
metadata: {name: lstm-on-casablanca}
spec:
  market: XCAS
  tickers: [ATW, IAM]
  mode: canary
  arms:
    - {name: champion, weight: 0.9}
    - {name: lstm, weight: 0.1}
    - {name: gbm, shadow: true}
  canary: {arm: lstm, steps: [0.01, 0.05, 0.25], every: 1h}
  guardrails: {errorRate: 0.01, p99: 60ms, coverage: {level: 95, least: 0.85}}
"""
"""The page's example; a test reads it."""

_HEAD = f"""# Experiments

<!-- made by `tickloom docs experiments`; change `tickloom/experiment`, not this page -->

An `Experiment` says which models forecast the tickers of a market, which of them answers whom, and what ends it. Each
model is an *arm*. The arm `champion` answers when all else fails, and the others are compared with it.

```yaml
{EXAMPLE}```

It is one file, a folder of files (a mounted ConfigMap), or the tag `tickloom.experiment` of a registered model, as YAML
or JSON. Every mistake in all files is said at once, with field, value and fix. A ticker takes part in one experiment at
most: two that take the same are refused, with both names. A ticker of none, or one that lacks a model for one of the
arms, has the experiment `default` with the one arm `champion`.

[manifests/experiments](../manifests/experiments/lstm-on-casablanca.yaml) has one with more fields.

## Who answers

A key is dealt to an arm by a hash of salt, arm and key, and by the arms' weights: weighted rendezvous hashing.

- A key always has the same arm, in every process and every replica, and only one.
- Each arm has its weight's share of the keys.
- When weights change, a key moves only to an arm whose weight rose beside that of the arm it had. From 90 : 10 to
  70 : 30, a fifth of the keys move, all to the second arm.
- Key, experiment and the number of the weights (their *epoch*) give every assignment again.

The hash is public: of each arm, the first 52 bits of the 8-byte BLAKE2b digest of `SALT`, a zero byte, `ARM`, a zero
byte and `KEY` are an integer *n*; the arm with the least -ln((n + 0.5) / 2^52) / weight answers.

| `stickiness` | the key | what it is for |
|---|---|---|
| `client` | who asks, by its API key or token | a client has one model for all tickers |
| `ticker` | the ticker | all clients see one forecast of a ticker; few keys, so shares are coarse |
| `header:NAME` | the value of a header; the client where the request has none | desks, sites, tenants |

A header that carries a secret (`Authorization`, `Cookie`, `X-API-Key`) is refused, for keys are recorded.

## Who forecasts besides

A market answers every model that forecast it. So every arm forecasts every request, whoever answers: all others are its
shadows, off the answer's path. `shadow: true` makes an arm that never answers.

## Modes

- `championChallenger`: the champion answers always, all others are shadows.
- `fixed`: the weights of the file.
- `canary`: `canary.arm` has the share of the step, by the time since the start; the others share the rest as their
  weights are to each other. A broken guardrail takes it out. The last step stays: let it be 1 to end with all keys.
- `thompson`: once an epoch, each arm's share is how often its mean reward is the greatest in samples of what is known
  about it.
- `epsilonGreedy`: once an epoch, the best arm so far gets all but `epsilon`, which is spread over all.

Weights of the arms that answer sum to 1. Where no arm has one, the champion begins with everything, and the arms of a
bandit with equal shares; `fixed` asks for them. A part that the mode does not use may stay in the file.

The rewards of a bandit are matured: they come sessions late, many at once. A reward is how far an arm's loss lies below
the mean loss of all arms, or whether it hit; a session counts once, as the mean over its tickers, for tickers of one
session move together. Samples are drawn from experiment, seed and epoch, so the same rewards give the same weights.

## Guardrails

- `errorRate` is broken when more requests of the last `window` failed than the limit, by more than chance: by the exact
  one-sided interval of Clopper and Pearson, 99.99 %.
- `p99` is broken when, by the same test, more than 1 % of the answers took longer.
- `coverage` is broken when too few closes of the last `sessions` sessions lay inside the arm's interval, by a bettor's
  capital of 100 (Waudby-Smith and Ramdas 2024). A session counts once, however many tickers it has.

There is no verdict on fewer than `leastRequests`. [promotion.md](promotion.md) says what is done about a broken one.

## Sample ratio

Whether the arms get the shares that their weights say is tested after every batch of keys, and may be looked at all the
time: the Dirichlet-multinomial mixture of Lindon and Malek (2022). 600 keys to 400 are no even split; 515 to 485 may
well be. It counts a key when it comes first, for one that comes again has the arm that it had. Weights may change
meanwhile. An alarm means that requests of an arm are lost, or assigned by something else: its figures are worth nothing
then.

## Fields
"""

_TAIL = """## What it is bad at

- Few keys make coarse shares. Ten clients at 90 : 10 may all have one arm; champion-challenger needs no keys at all.
- A client that asks far more than others brings all of that to its one arm: shares are of keys, not of requests.
- A guardrail looks at one arm alone. When everything is slow, the challenger goes as well.
- A guardrail is judged by exact intervals, but over and over: an arm that is just at its limit goes sooner or later.
- Bandits count all sessions alike; an arm that was good for long is left slowly once it is not.
"""

_PARTS: dict[str, type[BaseModel]] = {
    "spec": Spec,
    "spec.arms[]": Arm,
    "spec.canary": Canary,
    "spec.bandit": Bandit,
    "spec.guardrails": Guardrails,
    "spec.guardrails.coverage": Coverage,
    "spec.end": End,
}


def render() -> str:
    """Return the page's text."""
    tables = [f"### `{path}`\n\n{fields_table(model)}" for path, model in _PARTS.items()]
    return "\n".join([_HEAD, *tables, _TAIL])
