"""A client of MLflow, run in a pod of its image; prints JSON.

`write` makes a run with everything that a training leaves behind, `read` finds it again,
`ask PATH [USER PASSWORD [HOST]]` tells the status of a GET, `user NAME PASSWORD` makes a user,
`bucket ENDPOINT NAME` and `database URI NAME` make these.
"""

import base64
import hashlib
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

EXPERIMENT = "bars"
MODEL = "tickloom.XCAS.ATW"
STEPS = 20
WEIGHTS = bytes(range(256)) * 4096
"""1 MiB"""
PATIENCE_S = 60.0


def write() -> dict[str, str]:
    import mlflow

    client = mlflow.MlflowClient()
    run = client.create_run(client.create_experiment(EXPERIMENT))
    key = run.info.run_id
    client.log_param(key, "horizon", 5)
    for step in range(STEPS):
        client.log_metric(key, "loss", 1 / (step + 1), step=step)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.bin"
        path.write_bytes(WEIGHTS)
        client.log_artifact(key, str(path), "model")
    client.create_registered_model(MODEL)
    version = client.create_model_version(MODEL, f"{run.info.artifact_uri}/model", key)
    client.set_registered_model_alias(MODEL, "champion", version.version)
    client.set_terminated(key)
    return {"run": key}


def read() -> dict[str, object]:
    import mlflow

    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    champion = client.get_model_version_by_alias(MODEL, "champion")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(mlflow.artifacts.download_artifacts(f"{champion.source}/weights.bin", dst_path=folder))
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return {
        "run": run.info.run_id,
        "status": run.info.status,
        "params": run.data.params,
        "loss": [round(it.value, 9) for it in client.get_metric_history(run.info.run_id, "loss")],
        "weights": digest,
        "champion": int(champion.version),
    }


def expected(run: str) -> dict[str, object]:
    """Return what `read` is to find."""
    return {
        "run": run,
        "status": "FINISHED",
        "params": {"horizon": "5"},
        "loss": [round(1 / (step + 1), 9) for step in range(STEPS)],
        "weights": hashlib.sha256(WEIGHTS).hexdigest(),
        "champion": 1,
    }


def ask(path: str, user: str = "", password: str = "", host: str = "", body: bytes | None = None) -> int:
    request = urllib.request.Request(os.environ["MLFLOW_TRACKING_URI"] + path, body)
    request.add_header("Content-Type", "application/json")
    if user:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def user(name: str, password: str) -> int:
    admin = os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]
    body = json.dumps({"username": name, "password": password}).encode()
    return ask("/api/2.0/mlflow/users/create", *admin, body=body)


def bucket(endpoint: str, name: str) -> None:
    import boto3

    store = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="any", aws_secret_access_key="any")
    store.create_bucket(Bucket=name)


def database(uri: str, name: str) -> None:
    import psycopg

    until = time.monotonic() + PATIENCE_S
    while True:  # a Service leads to a pod only some time after it is ready
        try:
            with psycopg.connect(uri, autocommit=True, connect_timeout=5) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')
                return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    verbs = {"write": write, "read": read, "ask": ask, "user": user, "bucket": bucket, "database": database}
    print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))
