"""MLflow as the chart runs it: for development on a volume, for production on PostgreSQL and an object store."""

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.installed import Installed
from tests.cluster.mlflow import client

pytestmark = pytest.mark.timeout(900)

SCRIPT = Path(client.__file__).read_text(encoding="utf-8")
PASSWORD = "p%ss word:1/2"
"""What a URI must quote, and what an INI file must quote again."""
QUOTED = "p%25ss%20word%3A1%2F2"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def secret(place, name):
    data = place.get("secret", name)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def servers(place, release):
    chosen = f"app.kubernetes.io/component=server,app.kubernetes.io/instance={release}"
    return place.get("pods", "-l", chosen)["items"]


class Client:
    """A pod beside the servers that runs tests/cluster/mlflow/client.py."""

    def __init__(self, place, image, name, hosts=()):
        self.place, self.name = place, name
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "tickloom"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "hostAliases": list(hosts),
                "containers": [{"name": "client", "image": image, "command": ["sleep", "infinity"]}],
            },
        }
        place.apply(body)
        place.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")

    def run(self, *arguments, server="http://dev-mlflow:5000"):
        made = secret(self.place, "dev-mlflow")
        environment = {
            "MLFLOW_TRACKING_URI": server,
            "MLFLOW_TRACKING_USERNAME": made["username"],
            "MLFLOW_TRACKING_PASSWORD": made["password"],
        }
        told = [f"{name}={value}" for name, value in environment.items()]
        command = ["exec", "-i", self.name, "--", "env", *told, "python", "-", *arguments]
        return json.loads(self.place.kubectl(*command, input=SCRIPT).splitlines()[-1])


@pytest.fixture(scope="module")
def image(kube):
    return images.own(kube, "mlflow")


@pytest.fixture(scope="module")
def place(kube, image):
    """A namespace with the chart as it is, for development."""
    made = Installed(kube, "mlflow", {"global": {"imageRegistry": "localhost"}})
    made.helm("install", release="dev")
    yield made
    made.clear()


@pytest.fixture(scope="module")
def beside(place, image):
    made = Client(place, image, "beside")
    place.rolled_out("deploy/dev-mlflow")
    return made


def test_nobody_is_let_in_without_the_password_that_was_made(place, beside):
    made = secret(place, "dev-mlflow")
    assert beside.run("ask", "/health") == 200
    assert beside.run("ask", SEARCH) == 401
    assert beside.run("ask", SEARCH, "admin", "password1234") == 401
    assert beside.run("ask", SEARCH, made["username"], made["password"]) == 200
    assert beside.run("ask", SEARCH, made["username"], made["password"], "elsewhere.example.com") == 403


def test_a_run_is_there_again_after_the_pod_was_replaced(place, beside):
    run = beside.run("write")["run"]
    assert beside.run("read") == client.expected(run)
    (before,) = servers(place, "dev")
    place.kubectl("delete", "pod", before["metadata"]["name"])
    place.rolled_out("deploy/dev-mlflow")
    assert beside.run("read") == client.expected(run)


def test_a_user_who_was_given_nothing_reads_nothing(beside):
    assert beside.run("user", "reader", "twelve-letters") == 200
    of_the_first = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=bars"
    assert beside.run("ask", of_the_first, "reader", "twelve-letters") == 403


def test_an_upgrade_leaves_the_password_and_the_pod(place):
    def now():
        return secret(place, "dev-mlflow"), [it["metadata"]["uid"] for it in servers(place, "dev")]

    before = now()
    place.helm("upgrade", release="dev")
    assert now() == before


POSTGRES = {"name": "postgres", "image": "docker.io/library/postgres:15"}
POSTGRES["env"] = [{"name": "POSTGRES_PASSWORD", "value": PASSWORD}]
OBJECTS = {"name": "objects", "image": "localhost/tickloom/test-objects:dev"}
OBJECTS_FOLDER = Path(__file__).parent / "objects"
ADDRESS = f"postgresql://postgres:{QUOTED}@postgres:5432"


def standing(container, port):
    """Return a pod with one container that is ready when its port is open, and a Service of its name."""
    name = container["name"]
    full = {**container, "imagePullPolicy": "IfNotPresent"}
    full["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    metadata = {"name": name, "labels": {"app": name}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [full]}}
    pod["spec"]["terminationGracePeriodSeconds"] = 0
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}}
    service["spec"] = {"selector": {"app": name}, "ports": [{"port": port}]}
    return pod, service


@pytest.fixture(scope="module")
def stores(kube, place, beside):
    """A PostgreSQL with two databases and an object store with a bucket, and the values that name them."""
    images.third_party(kube, POSTGRES["image"])
    images.built(kube, OBJECTS["image"], OBJECTS_FOLDER)
    place.apply(*standing(POSTGRES, 5432), *standing(OBJECTS, 9000))
    place.kubectl("wait", "pod/postgres", "pod/objects", "--for=condition=Ready", "--timeout=90s")
    place.kubectl("scale", "deploy/dev-mlflow", "--replicas=0")
    for name in ("mlflow", "mlflow_auth"):
        beside.run("database", f"{ADDRESS}/postgres", name)
    beside.run("bucket", "http://objects:9000", "runs")
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    uris = {"uri": f"{ADDRESS}/mlflow", "auth-uri": f"{ADDRESS}/mlflow_auth"}
    for name, data in {"bucket": keys, "database": uris}.items():
        place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
    return {
        "auth": {"existingSecret": "dev-mlflow"},
        "database": {"existingSecret": "database"},
        "artifacts": {"destination": "s3://runs/mlflow", "existingSecret": "bucket", "endpoint": "http://objects:9000"},
        "networkPolicy": {"backendPorts": [5432, 9000]},
    }


@pytest.fixture(scope="module")
def two(place, stores, image):
    """A client of two servers on them, each by a name of its own."""
    place.helm("install", release="prod", replicas=2, allowedHosts=["first", "second"], **stores)
    place.rolled_out("deploy/prod-mlflow")
    hosts = [
        {"ip": server["status"]["podIP"], "hostnames": [name]}
        for name, server in zip(("first", "second"), servers(place, "prod"), strict=True)
    ]
    return Client(place, image, "of-two", hosts)


def test_what_one_server_was_told_each_server_knows(two):
    run = two.run("write", server="http://first:5000")["run"]
    for name in ("first", "second"):
        assert two.run("read", server=f"http://{name}:5000") == client.expected(run)


def test_users_of_one_server_are_users_of_each(two):
    assert two.run("user", "reader", "twelve-letters", server="http://first:5000") == 200
    for name in ("first", "second"):
        assert two.run("ask", SEARCH, "reader", "twelve-letters", server=f"http://{name}:5000") == 200
        assert two.run("ask", SEARCH, "reader", "another-one", server=f"http://{name}:5000") == 401


def test_a_wrong_database_is_told(place, stores):
    wrong = {
        "password": (ADDRESS.replace(QUOTED, "wrong"), 'password authentication failed for user "postgres"'),
        "host": (ADDRESS.replace("@postgres", "@nowhere"), "failed to resolve host 'nowhere'"),
    }
    for name, (address, _) in wrong.items():
        data = {"uri": f"{address}/mlflow", "auth-uri": f"{address}/mlflow_auth"}
        place.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
        place.helm("install", release=name, **{**stores, "database": {"existingSecret": name}})
    for name, (_, message) in wrong.items():
        place.until(lambda name=name, message=message: message in logs(place, name), f"{name}: {message}", 60)
        assert not place.get("deploy", f"{name}-mlflow")["status"].get("readyReplicas")


def logs(place, release):
    command = ["kubectl", "-n", place.namespace, "logs", f"deploy/{release}-mlflow"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
