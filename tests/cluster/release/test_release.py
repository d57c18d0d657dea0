"""The release of skaffold.yaml from installation to uninstallation, with real minutes, kills and upgrades.

The tests of this file are one story: each goes on where the one before ended.
"""

import time
from dataclasses import dataclass

import pytest
import yaml

from scripts import skaffolding
from tests.cluster import images

pytest.importorskip("kubernetes", reason="needs the package kubernetes: install tickloom[operator]")

from kubernetes import client

from tests.cluster.installed import PATIENCE_S, Namespace
from tests.cluster.scenarios.jobs import Job
from tests.cluster.tables import assert_same, prices
from tests.integration.stream.jobs import Job as LocalJob
from tests.integration.stream.jobs import topic
from tickloom.bus.producer import PriceProducer
from tickloom.local.stack import Endpoints
from tickloom.sources.replay import Replay

pytestmark = pytest.mark.timeout(1800)

TICKERS = ["AAPL", "JPM", "MSFT", "SPY", "TSLA"]
SPEED = 450
"""Seconds of market time in one: a week of minutes in under five minutes."""
KINDS = "deploy,sts,job,cronjob,pod,svc,cm,secret,sa,role,rolebinding,netpol,pdb,pvc,streamjob"


@dataclass
class Release(Namespace):
    """The release of skaffold.yaml in a namespace of its own."""

    images: list[skaffolding.Image]
    values: dict
    endpoints: Endpoints | None = None

    def install(self, **values):
        """Install or upgrade it."""
        (release,) = skaffolding.releases()
        return skaffolding.install(release, self.images, self.namespace, {**self.values, **values})

    def objects(self):
        """Return every object, but for Helm's own record, with what tells one version of it from another."""
        return {
            (it["kind"], it["metadata"]["name"]): (it["metadata"]["uid"], it["metadata"].get("generation"))
            for it in self.get(KINDS)["items"]
            if not it["metadata"]["name"].startswith("sh.helm.")
        }

    def pods(self):
        return {it["metadata"]["name"]: it for it in self.get("pods")["items"]}

    def until_stable(self, epoch):
        Job(self.kube, self.namespace, "real").until_stable(epoch, PATIENCE_S)

    def rows(self):
        return prices(self.endpoints, "tickloom", PATIENCE_S)

    def remove(self, pod):
        """Delete a pod and wait until there is another one that is ready."""
        before = self.pods()[pod]["metadata"]["uid"]
        self.kubectl("delete", "pod", pod, "--wait=false")

        def again():
            now = self.pods().get(pod)
            ready = now and any(it["type"] == "Ready" and it["status"] == "True" for it in now["status"]["conditions"])
            return ready and now["metadata"]["uid"] != before

        self.until(again, f"{pod} is back")


@pytest.fixture(scope="module")
def release(kube, market_data):
    built = [images.artifact_of(kube, artifact) for artifact in skaffolding.artifacts()]
    images.parts(kube)
    source = {
        "name": "real",
        "kind": "replay",
        "market": "XNYS",
        "files": ["/prices"],
        "speed": SPEED,
        "maxGap": 2,
        "pod": {
            "volumes": [{"name": "prices", "configMap": {"name": "prices"}}],
            "volumeMounts": [{"name": "prices", "mountPath": "/prices", "readOnly": True}],
        },
    }
    values = {
        "crds": {"enabled": False},  # the tests before this one have it
        "ingest": {"sources": [source]},
    }
    made = Release(kube, built, values)
    made.values["operator"] = {"watch": {"namespaces": [made.namespace]}}
    files = sorted((market_data / "us_minute").glob("*_1min.csv"))
    data = {it.name: it.read_text() for it in files}
    body = {"metadata": {"name": "prices"}, "data": data}
    client.CoreV1Api(kube).create_namespaced_config_map(made.namespace, body)
    yield made
    made.clear()


@pytest.fixture(scope="module")
def untouched(stack, market_data, tmp_path_factory):
    """What one undisturbed run on this machine makes of the same files."""
    files = sorted((market_data / "us_minute").glob("*_1min.csv"))
    name = topic(stack.kafka, "release")
    with PriceProducer(stack.kafka, name) as producer:
        for block in Replay(files, "XNYS").blocks():
            producer.send_block(block)
    job = LocalJob(tmp_path_factory.mktemp("untouched"), stack, name)
    job.run()
    return job, producer.sent


def manifest(**processors):
    spec = {"tickers": TICKERS, "market": "XNYS", "deadLetters": "all", "upgrade": {"stableBatches": 1}}
    if processors:
        spec["processors"] = processors
    body = {"apiVersion": "tickloom.dev/v1alpha1", "kind": "StreamJob", "metadata": {"name": "real"}, "spec": spec}
    return yaml.safe_dump(body)


def test_one_command_brings_everything_up(release):
    assert "Then apply a StreamJob" in release.install()
    release.kubectl("apply", "-f", "-", input=manifest())
    release.until_stable(1)
    release.endpoints = Endpoints(release.address("tickloom-kafka", 9092), release.address("tickloom-cassandra", 9042))
    release.until(lambda: release.rows() > 0, "there are rows")


def test_an_upgrade_that_changes_nothing_changes_nothing(release):
    before = release.objects()
    release.install()
    time.sleep(5)
    assert release.objects() == before


def test_pods_that_are_deleted_in_mid_stream_lose_nothing(release, untouched, tmp_path):
    reference, sent = untouched
    release.kubectl("delete", "pod", "real-e1", "--grace-period=0", "--force")
    release.until_stable(2)
    operator = next(name for name in release.pods() if name.startswith("tickloom-operator"))
    release.kubectl("delete", "pod", operator)
    release.remove("tickloom-kafka-0")
    release.remove("tickloom-cassandra-0")
    release.until_stable(2)
    release.until(lambda: release.rows() >= sent, f"{sent} rows are written", 2 * PATIENCE_S)
    assert_same(LocalJob(tmp_path, release.endpoints, "prices", keyspace="tickloom"), reference)


def test_a_changed_processor_is_an_upgrade_of_the_job_alone(release):
    before = release.objects()
    changed = manifest(bars={"indicators": ["sma_5", "rsi_14"]})
    release.kubectl("apply", "-f", "-", input=changed)
    release.until_stable(3)
    after = release.objects()
    assert {key for key in before if before[key] != after.get(key)} == {
        ("ConfigMap", "real-e2-config"),
        ("Pod", "real-e2"),
        ("StreamJob", "real"),
    }


def test_a_changed_setting_replaces_the_operator_and_no_child(release):
    before = release.objects()
    release.install(operator={**release.values["operator"], "settings": {"pollSeconds": 4}})
    release.kubectl("rollout", "status", "deploy/tickloom-operator", "--timeout=120s")
    time.sleep(20)
    after = release.objects()
    changed = {key for key in before if before[key] != after.get(key) and key[0] != "Pod"}
    assert changed <= {("Deployment", "tickloom-operator")}
    assert before["Pod", "real-e3"] == after["Pod", "real-e3"]


def test_nothing_is_left_but_what_was_promised(release):
    """The StreamJob goes first, while the operator can still end it, and its checkpoint with it: the topics go too."""
    release.run("helm", "uninstall", "tickloom", "-n", release.namespace, "--wait")

    def left():
        return {key for key in release.objects() if key[0] != "Pod"}

    promised = {
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "prices"),
        ("PersistentVolumeClaim", "tickloom-mlflow"),
        ("Secret", "tickloom-mlflow"),
        ("ServiceAccount", "default"),
    }
    release.until(lambda: left() == promised, f"only {promised} is left, not {left()}", 90)
