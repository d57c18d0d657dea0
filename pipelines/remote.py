"""Pipelines, runs and schedules of a Kubeflow, through its own client."""

import contextlib
import hashlib
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines import catalogue
from pipelines.settings import Settings
from tickloom.errors import TickloomError

EXPERIMENT = "tickloom"
"""Experiment of Kubeflow in which runs are, where none is named."""
TOKEN = "TICKLOOM_KFP_TOKEN"  # noqa: S105
_PAGE = 100


class Kubeflow:
    """The API of one Kubeflow Pipelines.

    Parameters
    ----------
    host
        Such as ``http://127.0.0.1:8888``.
    token
        Bearer token; empty where the API asks for none.
    namespace
        Of the user, in a Kubeflow with several; else empty.

    Raises
    ------
    TickloomError
        It does not answer, or refuses the token.
    """

    def __init__(self, host: str, token: str = "", namespace: str = "") -> None:
        self.host = host
        self._namespace = namespace or None
        with self._asked():
            from kfp import Client

            _greet(host, token)
            self._client = Client(host, existing_token=token or None, namespace=namespace or "kubeflow")

    def upload(self, name: str, settings: Settings) -> tuple[str, str]:
        """See to it that Kubeflow has a pipeline in this form, and return the ids of pipeline and version.

        A version bears a digest of what it is, so that the same one is not uploaded twice.
        """
        with tempfile.TemporaryDirectory() as scratch, self._asked():
            package = Path(scratch) / "pipeline.yaml"
            catalogue.compiled(name, settings, package)
            version = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
            called = catalogue.display_name(name)
            pipeline = self._client.get_pipeline_id(called)
            if pipeline is None:
                made = self._client.upload_pipeline(str(package), called, namespace=self._namespace)
                pipeline = made.pipeline_id
            known = self._client.list_pipeline_versions(pipeline, page_size=_PAGE).pipeline_versions or []
            for it in known:
                if it.display_name == version:
                    return pipeline, it.pipeline_version_id
            made = self._client.upload_pipeline_version(str(package), version, pipeline_id=pipeline)
            return pipeline, made.pipeline_version_id

    def submit(
        self, name: str, settings: Settings, parameters: Mapping[str, Any], *, called: str, experiment: str = EXPERIMENT
    ) -> dict[str, Any]:
        """Start a run, and return its id, name and address."""
        pipeline, version = self.upload(name, settings)
        with self._asked():
            run = self._client.run_pipeline(
                self._experiment(experiment), called, params=dict(parameters), pipeline_id=pipeline, version_id=version
            )
        return {"run": run.run_id, "name": called, "page": f"{self.host.rstrip('/')}/#/runs/details/{run.run_id}"}

    def schedule(
        self,
        name: str,
        settings: Settings,
        parameters: Mapping[str, Any],
        *,
        cron: str,
        called: str,
        experiment: str = EXPERIMENT,
    ) -> dict[str, Any]:
        """Have Kubeflow start runs by a clock: one at a time, and of those that it missed the last one alone.

        Parameters
        ----------
        cron
            Six fields, seconds first, in UTC: ``0 30 21 * * 1-5``.
        """
        pipeline, version = self.upload(name, settings)
        with self._asked():
            made = self._client.create_recurring_run(
                self._experiment(experiment),
                called,
                cron_expression=cron,
                max_concurrency=1,
                no_catchup=True,
                params=dict(parameters),
                pipeline_id=pipeline,
                version_id=version,
            )
        return {"schedule": made.recurring_run_id, "name": called, "cron": cron}

    def listing(self, limit: int) -> dict[str, list[dict[str, Any]]]:
        """Return pipelines, schedules and the newest runs."""
        with self._asked():
            pipelines = self._client.list_pipelines(page_size=_PAGE, namespace=self._namespace).pipelines or []
            schedules = self._client.list_recurring_runs(page_size=_PAGE, namespace=self._namespace)
            runs = self._client.list_runs(page_size=limit, sort_by="created_at desc", namespace=self._namespace)
        return {
            "pipelines": [
                {"name": it.display_name, "id": it.pipeline_id}
                for it in pipelines
                if it.display_name in map(catalogue.display_name, catalogue.PIPELINES)
            ],
            "schedules": [
                {"name": it.display_name, "id": it.recurring_run_id, "status": it.status, "cron": _cron(it)}
                for it in schedules.recurring_runs or []
            ],
            "runs": [
                {"name": it.display_name, "id": it.run_id, "state": it.state, "begun": str(it.created_at)}
                for it in runs.runs or []
            ],
        }

    def _experiment(self, name: str) -> str:
        return str(self._client.create_experiment(name, namespace=self._namespace).experiment_id)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        from kfp_server_api.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
                warnings.simplefilter("ignore")
                yield
        except ApiException as error:
            raise TickloomError(f"Kubeflow at {self.host}: {_refusal(error)}") from None
        except (HTTPError, OSError, TimeoutError) as error:
            words = next(iter(str(error).splitlines()), "") or type(error).__name__
            said = "it does not answer" if "retries exceeded" in words else words[:300]
            raise TickloomError(f"Kubeflow at {self.host}: {said}; see that it runs and that --host is right") from None


def _greet(host: str, token: str) -> None:
    """Ask whether anybody is there: kfp's own client asks five times, and takes a refused token for silence."""
    import kfp_server_api as api

    configuration = api.Configuration(host=host.rstrip("/"))
    if token:
        configuration.api_key["authorization"] = token
        configuration.api_key_prefix["authorization"] = "Bearer"
    api.HealthzServiceApi(api.ApiClient(configuration)).healthz_service_get_healthz()


def _cron(found: Any) -> str:
    schedule = getattr(found.trigger, "cron_schedule", None) if found.trigger else None
    return str(schedule.cron) if schedule else ""


def _refusal(error: Any) -> str:
    if error.status in (401, 403):
        return (
            f"it refuses the token ({error.status} {error.reason}); it may have expired: set {TOKEN} to a new one of "
            "an account that may submit runs"
        )
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    import json

    with contextlib.suppress(ValueError, AttributeError):
        body = json.loads(body).get("message") or json.loads(body).get("error") or body
    if body.lstrip().startswith("<"):
        return f"{error.status} {error.reason}, with a page where Kubeflow has words; see that --host is its API"
    return f"{error.status} {error.reason}: {body[:300]}"
