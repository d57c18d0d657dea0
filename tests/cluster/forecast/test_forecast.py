"""The forecast service with a real registry: it answers, grows and shrinks with the load, and is replaced unnoticed.

The tests of this file are one story: each goes on where the one before ended.
"""

import base64
import subprocess
import time

import httpx
import pytest
import yaml

from tests.cluster import images
from tests.cluster.forecast.load import Load
from tests.cluster.installed import Installed
from tests.cluster.operator_process import ROOT
from tickloom.forecast import histories, package
from tickloom.forecast.features import feature_frame
from tickloom.forecast.models import make
from tickloom.forecast.package import Manifest
from tickloom.forecast.registry import CHAMPION, Registry
from tickloom.store.migrate import migrate

pytestmark = pytest.mark.timeout(900)

MARKET, TICKERS, HORIZON = "XNYS", ("AAPL", "MSFT"), 5
SESSIONS = 700
FAST = {
    "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}]},
    "scaleDown": {"stabilizationWindowSeconds": 30, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}]},
}
VALUES = {
    "global": {"imageRegistry": "localhost"},
    "mlflow": {"uri": "http://registry-mlflow:5000", "credentialsSecret": "registry-mlflow"},
    "autoscaling": {"by": "cpu", "minReplicas": 1, "maxReplicas": 2, "cpuPercent": 300, "behavior": FAST},
    "drainSeconds": 5,
    "stores": False,
    # for each request an inference, and none is turned away
    "settings": {"cache": "off", "data": "/prices", "poll_s": 2, "patience_ms": 10_000},
    "resources": {"requests": {"cpu": "100m", "memory": "384Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
    "volumes": [{"name": "prices", "configMap": {"name": "prices"}}],
    "volumeMounts": [{"name": "prices", "mountPath": "/prices", "readOnly": True}],
}
ASKED = {"ticker": "AAPL", "market": MARKET, "horizon": HORIZON}
TOLD, JUDGE = "deploy/serve-forecast", "deploy/serve-forecast-judge"
CODE = """
import urllib.request, urllib.error
try:
    print(urllib.request.urlopen("http://127.0.0.1:3000/readyz").read())
except urllib.error.HTTPError as error:
    print(error.code, error.read())
"""


@pytest.fixture(scope="module")
def place(kube):
    """A namespace that takes restricted pods alone, with an MLflow that knows no model yet."""
    for image in ("mlflow", "forecast"):
        images.own(kube, image)
    made = Installed(kube, "forecast", VALUES)
    made.kubectl("label", "namespace", made.namespace, "pod-security.kubernetes.io/enforce=restricted")
    chart = str(ROOT / "charts" / "mlflow")
    values = {"global": VALUES["global"], "allowedHosts": ["10.*"]}
    made.run("helm", "dependency", "build", chart)
    made.run("helm", "install", "registry", chart, "-n", made.namespace, "-f", "-", input=yaml.safe_dump(values))
    yield made
    made.clear()


@pytest.fixture(scope="module")
def prices(place, market_data, tmp_path_factory):
    """The last sessions of some tickers, in a ConfigMap and in a folder."""
    folder = tmp_path_factory.mktemp("prices")
    for ticker in TICKERS:
        head, *rows = (market_data / "us_daily" / f"{ticker}.csv").read_text(encoding="utf-8").splitlines()
        (folder / f"{ticker}.csv").write_text("\n".join([head, *rows[-SESSIONS:]]) + "\n", encoding="utf-8")
    place.kubectl("create", "configmap", "prices", f"--from-file={folder}")
    return folder


@pytest.fixture(scope="module")
def registry(place):
    """The MLflow in the cluster, as the administrator sees it from here."""
    place.rolled_out("deploy/registry-mlflow")
    made = place.get("secret", "registry-mlflow")["data"]
    with pytest.MonkeyPatch.context() as patch:
        for variable, key in (("MLFLOW_TRACKING_USERNAME", "username"), ("MLFLOW_TRACKING_PASSWORD", "password")):
            patch.setenv(variable, base64.b64decode(made[key]).decode())
        yield Registry(f"http://{place.address('registry-mlflow', 5000)}")


def address(place):
    """Return where the Service is."""
    return f"http://{place.address('serve-forecast', 3000)}"


def register(registry, prices, ticker, folder):
    """Register a ridge regression of a ticker as its champion, and return its version."""
    frame = feature_frame(histories.from_file(prices / f"{ticker}.csv", market=MARKET, ticker=ticker))
    model = make("ridge", HORIZON).fit(frame)
    package.write(folder, model, Manifest.of(model, frame))
    version = registry.push(folder)
    registry.move_alias(MARKET, ticker, CHAMPION, version.number)
    return version.number


def pods(place):
    found = place.get("pods", "-l", "tickloom.dev/answers=forecasts")["items"]
    return [it["metadata"]["name"] for it in found if "deletionTimestamp" not in it["metadata"]]


def wanted(place):
    """Return how many pods the autoscaler wants."""
    return place.get("hpa", "serve-forecast")["status"].get("desiredReplicas")


def test_pods_are_ready_once_the_registry_holds_a_model(place, prices, registry, tmp_path):
    place.helm("install", release="serve")
    place.until(lambda: pods(place), "there is a pod")
    (name,) = pods(place)
    asked = ["exec", name, "--", "python", "-c", CODE]
    place.until(
        lambda: "the registry holds no model" in told(place, asked), "the pod lives and says why it is not ready"
    )
    assert not place.get(TOLD)["status"].get("readyReplicas")
    numbers = {ticker: register(registry, prices, ticker, tmp_path / ticker) for ticker in TICKERS}
    place.rolled_out(TOLD, 60)
    for ticker, number in numbers.items():
        # before there was no model of it, and for a moment the random walk
        body = place.until(lambda ticker=ticker, number=number: answer(place, ticker, number), f"{ticker} by ridge", 30)
        assert (body["ticker"], body["model"], len(body["forecast"])) == (ticker, "ridge", HORIZON)


def answer(place, ticker, number):
    """Return the forecast of a ticker, once that version makes it; aliases are looked at every few seconds."""
    found = httpx.post(f"{address(place)}/v1/forecast", json=ASKED | {"ticker": ticker}, timeout=10)
    return found.json() if found.status_code == 200 and str(found.json()["version"]) == str(number) else None


def test_more_pods_come_with_the_load_and_go_with_it(place):
    place.until(lambda: wanted(place) == 1, "CPU is measured, and one pod is enough", 120)
    begun = time.monotonic()
    with Load(address(place), ASKED, clients=8) as load:
        place.until(lambda: wanted(place) == 2, "the autoscaler wants two pods", 150)
        place.until(lambda: place.get(TOLD)["status"].get("readyReplicas") == 2, "two pods are ready", 240)
    grown = time.monotonic()
    assert not load.failed
    place.until(lambda: wanted(place) == 1 and len(pods(place)) == 1, "one pod is left", 180)
    print(f"up after {grown - begun:.0f} s, down after {time.monotonic() - grown:.0f} s, {load.answered} answers")


def test_a_rolling_update_and_a_killed_pod_lose_no_request(place):
    fixed = {"autoscaling": {**VALUES["autoscaling"], "by": "none"}, "replicas": 2}
    place.helm("upgrade", release="serve", **fixed)
    place.rolled_out(TOLD, 90)
    before = set(pods(place))
    with Load(address(place), ASKED, clients=4, every_s=0.02) as load:
        place.until(lambda: load.answered > 50, "requests are answered")
        place.kubectl("rollout", "restart", TOLD)
        place.rolled_out(TOLD, 180)
        place.until(lambda: len(pods(place)) == 2, "the old ones are gone")
        assert not before & set(pods(place))
    rolled = load
    assert not rolled.failed
    assert not rolled.degraded
    with Load(address(place), ASKED, clients=4, every_s=0.02) as load:
        place.until(lambda: load.answered > 50, "requests are answered")
        place.kubectl("delete", "pod", pods(place)[0], "--grace-period=0", "--force")
        place.until(lambda: len(pods(place)) == 2, "there is another one")
        place.rolled_out(TOLD, 90)
    assert not load.failed
    for what, it in (("rolling update", rolled), ("kill", load)):
        again = f"{len(it.tried_again)} tried again, {len(it.degraded)} degraded"
        print(f"{what}: {it.answered} answers, slowest {it.slowest_s:.2f} s, {again}")


CANARY = """
apiVersion: tickloom.dev/v1alpha1
kind: Experiment
metadata: {name: walk-on-aapl}
spec:
  market: XNYS
  tickers: [AAPL]
  mode: canary
  stickiness: header:x-desk
  arms: [{name: champion}, {name: walk}]
  canary: {arm: walk, steps: [0.1, 0.2, 0.3, 0.4], every: 20s}
"""


def test_the_judge_goes_on_in_another_pod_after_a_kill(kube, place, registry):
    images.third_party(kube, images.PARTS["cassandra"])
    chart = str(ROOT / "charts" / "cassandra")
    place.run("helm", "dependency", "build", chart)
    place.run("helm", "install", "store", chart, "-n", place.namespace, "--set", "migrate.enabled=false")
    place.rolled_out("statefulset/store-cassandra")
    migrate(place.address("store-cassandra", 9042), "tickloom", patience_s=60)
    registry.move_alias(MARKET, "AAPL", "challenger-walk", 1)
    known = {**VALUES["global"], "cassandra": {"contactPoints": f"store-cassandra.{place.namespace}.svc:9042"}}
    values = {"global": known, "stores": True, "judge": {"enabled": True, "arguments": ["--every", "2"]}}
    fixed = {"autoscaling": {**VALUES["autoscaling"], "by": "none"}, "replicas": 1}
    place.helm("upgrade", release="serve", **values, **fixed)
    for it in (JUDGE, TOLD):
        place.rolled_out(it, 120)
    begin = "cat > /tmp/walk.yaml && python -m tickloom.cli.main experiment start /tmp/walk.yaml"
    place.kubectl("exec", "-i", JUDGE, "--", "sh", "-c", begin, input=CANARY)
    place.until(lambda: share(place) == 0.2, "the judge goes on with the ramp", 60)
    selector = "app.kubernetes.io/component=judge"
    before = place.get("pods", "-l", selector)["items"][0]["metadata"]["name"]
    place.kubectl("delete", "pod", before, "--grace-period=0", "--force")
    place.until(lambda: share(place) == 0.4, "another one goes on to its end", 120)
    assert before not in {it["metadata"]["name"] for it in place.get("pods", "-l", selector)["items"]}
    answers = [ask(place, client) for client in range(60)]
    assert {it["arm"] for it in answers} == {"champion", "walk"}
    assert all(it["model"] == {"champion": "ridge", "walk": "random_walk"}[it["arm"]] for it in answers)
    shown = ["python", "-m", "tickloom.cli.main", "ledger", "show", "AAPL", "--experiment", "walk-on-aapl", "--json"]
    place.until(lambda: '"walk"' in place.kubectl("exec", JUDGE, "--", *shown), "both arms are in the ledger", 60)


def share(place):
    """Return which share of the keys the arm that is let in has, as the service knows it."""
    found = httpx.get(f"{address(place)}/v1/experiments", timeout=10).json()["experiments"]
    return next((arm["weight"] for it in found for arm in it["arms"] if arm["name"] == "walk"), None)


def ask(place, client):
    """Return the answer to a client."""
    found = httpx.post(f"{address(place)}/v1/forecast", json=ASKED, headers={"x-desk": str(client)}, timeout=10)
    assert found.status_code == 200, found.text
    return found.json()


def told(place, command):
    done = subprocess.run(["kubectl", "-n", place.namespace, *command], capture_output=True, text=True, check=False)
    return done.stdout
