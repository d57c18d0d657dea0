"""Snapshots of a keyspace in every Cassandra pod: `backup.py backup` makes one, `backup.py restore TAG` loads one.

The pods write to a volume that they share with this one; through the API server go commands alone.
"""

import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime

TAG = re.compile(r"[0-9]{8}T[0-9]{6}Z")
BACKUP = r"""set -euo pipefail
mkdir -p "/backup/$TAG.part"
nodetool snapshot -t "$TAG" --ttl 2d "$KEYSPACE" >/dev/null
trap 'nodetool clearsnapshot -t "$TAG" "$KEYSPACE" >/dev/null' EXIT
cd /var/lib/cassandra/data
find "$KEYSPACE" -type d -path "*/snapshots/$TAG" | tar -czf "/backup/$TAG.part/$HOSTNAME.tar.gz" -T -
wc -c <"/backup/$TAG.part/$HOSTNAME.tar.gz"
"""
# a part that nobody has written to for an hour is of a backup that was killed
DONE = r"""set -euo pipefail
mv "/backup/$TAG.part" "/backup/$TAG"
ls -d /backup/*T*Z | head -n "-$KEEP" | xargs -r rm -rf
for part in /backup/*.part; do
  [ -n "$(find "$part" -mmin -60 2>/dev/null)" ] || rm -rf "$part"
done
"""
# a full volume is not to stay full of what is no backup
FORGET = r"""rm -rf "/backup/$TAG.part"
"""
CHECK = r"""set -euo pipefail
[ -f "/backup/$TAG/$HOSTNAME.tar.gz" ] && exit
known=$(cd /backup && ls -d *T*Z/"$HOSTNAME.tar.gz" 2>/dev/null | cut -d/ -f1 | paste -sd ' ')
echo "there is no backup $TAG of $HOSTNAME; known: ${known:-none}" >&2
exit 1
"""
RESTORE = r"""set -euo pipefail
into=/var/lib/cassandra/restore
rm -rf "$into" && mkdir -p "$into"
trap 'rm -rf "$into"' EXIT
tar -xzf "/backup/$TAG/$HOSTNAME.tar.gz" -C "$into"
for folder in "$into/$KEYSPACE"/*/snapshots/"$TAG"; do
  ls "$folder"/*-Data.db >/dev/null 2>&1 || continue
  table=$(basename "$(dirname "$(dirname "$folder")")")
  echo "${table%-*}"
  nodetool import "$KEYSPACE" "${table%-*}" "$folder"
done
"""


def script(text: str, **values: str) -> list[str]:
    """Return the command that runs a script in a pod with values as its variables."""
    return ["env", *(f"{name}={value}" for name, value in values.items()), "bash", "-c", text]


def main(arguments: list[str], pods: list[str], run: Callable[[str, list[str]], str]) -> None:
    """Do what the arguments ask for in each pod; ``run(pod, command)`` raises where the command fails."""
    keyspace = os.environ["KEYSPACE"]
    if not pods:
        raise SystemExit("no pod of Cassandra is ready; see `kubectl get pods`")
    if arguments == ["backup"]:
        tag = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            for pod in pods:
                print(f"{pod}: {run(pod, script(BACKUP, TAG=tag, KEYSPACE=keyspace)).strip()} bytes", flush=True)
        except BaseException:
            run(pods[0], script(FORGET, TAG=tag))
            raise
        run(pods[0], script(DONE, TAG=tag, KEEP=os.environ["KEEP"]))
        print(f"backup {tag}")
    elif len(arguments) == 2 and arguments[0] == "restore" and TAG.fullmatch(arguments[1]):
        for pod in pods:
            run(pod, script(CHECK, TAG=arguments[1]))
        for pod in pods:
            tables = run(pod, script(RESTORE, TAG=arguments[1], KEYSPACE=keyspace)).split()
            print(f"{pod}: {', '.join(tables) or 'nothing'}", flush=True)
    else:
        raise SystemExit(f"{arguments} is unknown; known: backup, restore 20260102T030405Z")


def connect() -> tuple[list[str], Callable[[str, list[str]], str]]:
    """Return the ready pods, and a function that runs a command in one."""
    from kubernetes import client, config
    from kubernetes.stream import stream

    config.load_incluster_config()
    core, namespace = client.CoreV1Api(), os.environ["NAMESPACE"]
    found = core.list_namespaced_pod(namespace, label_selector=os.environ["SELECTOR"]).items
    ready = [
        pod.metadata.name
        for pod in found
        if any(it.type == "Ready" and it.status == "True" for it in pod.status.conditions or ())
    ]
    if len(ready) < len(found):
        raise SystemExit(f"{len(found) - len(ready)} of {len(found)} pods of Cassandra are not ready; try again")

    def run(pod: str, command: list[str]) -> str:
        link = stream(
            client.CoreV1Api().connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=command,
            container="cassandra",
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        link.run_forever()
        out, wrong = link.read_stdout(0), link.read_stderr(0)
        if link.returncode:
            raise SystemExit(f"{pod}: exit code {link.returncode}: {wrong or out}")
        return out

    return sorted(ready), run


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    main(sys.argv[1:], *connect())
