"""Backups of a real node, made and loaded by the commands of charts/cassandra/README.md.

The tests of this file are one story: each goes on where the one before ended. Migrations run beside the cluster, so
that the large image of the application need not be loaded.
"""

import json
import os
import re
import subprocess

import pytest

from tests.cluster import images
from tests.cluster.backup import rows
from tests.cluster.installed import Installed
from tests.cluster.operator_process import ROOT
from tickloom.store.connect import connect
from tickloom.store.migrate import migrate

pytestmark = pytest.mark.timeout(900)

KEYSPACE = "tickloom"
TAG = re.compile(r"^[0-9]{8}T[0-9]{6}Z$", re.MULTILINE)
OTHERS = ("crds", "kafka", "spark", "operator", "ingest", "mlflow")
NODE = "tickloom-cassandra-0"
README = (ROOT / "charts" / "cassandra" / "README.md").read_text(encoding="utf-8")
DEMO = ROOT / "manifests" / "demo.yaml"


def documented(heading):
    """Return the commands of a section of the chart's README."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return block


class Node:
    """Cassandra in a release of the umbrella chart that brings nothing else."""

    def __init__(self, kube, folder):
        values = {name: {"enabled": False} for name in OTHERS}
        values["global"] = {"imageRegistry": "localhost"}
        values["cassandra"] = {"backup": {"enabled": True}, "migrate": {"enabled": False}}
        self.installed = Installed(kube, "tickloom", values)
        self.kubectl = self.installed.kubectl
        # the commands name no namespace: they run in that of a kubeconfig
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(self.kubectl("config", "view", "--raw", "--flatten"))
        self.kubeconfig.chmod(0o600)
        self.do(f"kubectl config set-context --current --namespace={self.installed.namespace}")

    def do(self, commands):
        """Run what a person would, as it stands in the README."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        command = ["bash", "-euo", "pipefail", "-c", commands]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}\n{self.installed.describe()}"
        return done.stdout

    def install(self):
        """Install the release, make the tables and open a session."""
        self.installed.helm("install", release="tickloom")
        self.installed.rolled_out(f"statefulset/{NODE.removesuffix('-0')}")
        address = self.installed.address("tickloom-cassandra", 9042)
        migrate(address, KEYSPACE, patience_s=60)
        self.session = connect(address, KEYSPACE, patience_s=60)

    def leave(self):
        self.session.cluster.shutdown()

    def contents(self):
        return rows.contents(self.session, KEYSPACE)

    def folders(self):
        """Return what lies on the volume of the backups."""
        return self.kubectl("exec", NODE, "--", "ls", "/backup").split()

    def back_up(self):
        """Make a backup as the README says, and return its tag."""
        before = set(self.folders())
        self.do(documented("Backup"))
        self.kubectl("delete", "job", "backup-now")
        (tag,) = set(TAG.findall("\n".join(self.folders()))) - before
        return tag

    def restore(self, tag):
        """Load a backup as the README says."""
        self.do(documented("Restore").replace("20260102T030405Z", tag))


@pytest.fixture(scope="module")
def node(kube, tmp_path_factory):
    images.own(kube, "operator")
    images.third_party(kube, images.PARTS["cassandra"])
    made = Node(kube, tmp_path_factory.mktemp("backup"))
    made.kubectl("apply", "-f", str(DEMO))  # the job that is suspended while rows are loaded
    made.install()
    yield made
    made.leave()
    made.installed.clear()


@pytest.fixture(scope="module")
def saved(node):
    """A backup, its tag, and every cell that was there when it was made."""
    written = rows.fill(node.session, KEYSPACE, seed=1)
    assert written > 3000
    before = node.contents()
    return node.back_up(), before


def test_what_was_emptied_is_there_again_cell_by_cell(node, saved):
    tag, before = saved
    rows.empty(node.session, KEYSPACE)
    rows.fill(node.session, KEYSPACE, seed=2)
    rows.empty(node.session, KEYSPACE)
    assert not any(node.contents().values())
    node.restore(tag)
    assert node.contents() == before
    assert node.installed.get("streamjob", "demo")["spec"]["state"] == "running"
    assert not node.installed.get("jobs", "-l", "app.kubernetes.io/component=backup")["items"]


def test_to_load_it_twice_changes_nothing(node, saved):
    tag, before = saved
    node.restore(tag)
    assert node.contents() == before


def test_a_tag_that_there_is_not_is_refused_with_those_that_there_are(node, saved):
    tag, before = saved
    unknown = "20260102T030405Z"
    upgrade = "helm upgrade tickloom charts/tickloom --reuse-values --set cassandra.restore.tag="
    node.do(upgrade + unknown)

    def told():
        pods = node.installed.get("pods", "-l", "app.kubernetes.io/component=backup")["items"]
        states = [status.get("state", {}) for pod in pods for status in pod["status"].get("containerStatuses", ())]
        return [state["terminated"] for state in states if "terminated" in state]

    ended = node.installed.until(told, "the Job has ended", 60)[0]
    assert ended["exitCode"] == 1
    assert f"there is no backup {unknown} of {NODE}; known: {tag}" in ended["message"]
    node.do(upgrade)
    assert node.contents() == before


WAIT = "until ls /backup | grep part; do sleep 0.05; done"
KILL = """for it in /proc/[0-9]*; do [ "$(cat $it/comm)" != python ] || kill -9 ${it#/proc/}; done"""


def test_a_backup_that_was_killed_is_none(node, saved):
    tag, _ = saved
    made = json.loads(
        node.do("kubectl create job killed --from=cronjob/tickloom-cassandra-backup --dry-run=client -o json")
    )
    made["spec"]["backoffLimit"] = 0
    (container,) = made["spec"]["template"]["spec"]["containers"]
    (argument,) = container.pop("args")
    # below a shell: process 1 of a container cannot be killed from inside
    container["command"] = ["sh", "-c", f"{' '.join(container['command'])} {argument}; exit $?"]
    node.installed.apply(made)
    part = node.kubectl("exec", NODE, "--", "bash", "-c", WAIT).strip()
    node.kubectl("exec", "job/killed", "--", "sh", "-c", KILL)
    node.kubectl("wait", "job/killed", "--for=condition=Failed", "--timeout=60s")
    assert TAG.match(part.removesuffix(".part"))
    node.installed.until(lambda: idle(node), "the node has done what it was told", 60)
    assert node.folders() == [tag, part]
    archives = node.kubectl("exec", NODE, "--", "ls", f"/backup/{part}").split()
    assert archives == [f"{NODE}.tar.gz"]  # the node itself was not killed, and packed to the end

    # the next one lets it be, for it might be at work elsewhere; later one of them takes it away
    second = node.back_up()
    assert node.folders() == sorted([tag, part, second])
    node.kubectl("exec", NODE, "--", "bash", "-c", f"touch -d '2 hours ago' /backup/{part} /backup/{part}/*")
    third = node.back_up()
    assert node.folders() == [tag, second, third]


def idle(node):
    running = node.kubectl("exec", NODE, "--", "bash", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    return "NodeTool" not in running and "tar -czf" not in running


def test_a_backup_that_is_told_to_end_takes_itself_away(node, saved):
    before = node.folders()
    node.do("kubectl create job ended --from=cronjob/tickloom-cassandra-backup")
    node.kubectl("exec", NODE, "--", "bash", "-c", WAIT)
    node.kubectl("delete", "job", "ended", "--cascade=foreground", "--wait")
    node.installed.until(lambda: idle(node), "the node has done what it was told", 60)
    assert node.folders() == before


def test_a_new_node_has_every_cell_of_the_one_that_was_lost(node, saved):
    tag, before = saved
    lost = node.installed.get("pvc", f"data-{NODE}")["metadata"]["uid"]
    node.leave()
    node.installed.uninstall("tickloom")
    node.kubectl("delete", "pvc", f"data-{NODE}")
    node.install()
    assert node.installed.get("pvc", f"data-{NODE}")["metadata"]["uid"] != lost
    assert not any(found for table, found in node.contents().items() if table != rows.OURS)
    node.restore(tag)
    after = node.contents()
    assert after.pop(rows.OURS)  # of both: of the backup and of the new tables
    before = {table: found for table, found in before.items() if table != rows.OURS}
    assert after == before
