"""Trained models in MLflow: a run with everything that is known of one, and a version of the ticker's registered model.

A run is made whole or not at all: the version, which is what others look for, comes last, and a run that breaks off is
marked as failed. Aliases say which version serves; the first ``champion`` of a ticker is the random walk.
"""

import logging
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tickloom.errors import TickloomError
from tickloom.forecast import flavour, lineage, package, shown
from tickloom.forecast.database import SQLITE, Stamp, changed, create
from tickloom.forecast.models import REFERENCE, make
from tickloom.forecast.package import Manifest
from tickloom.forecast.reaching import reaching
from tickloom.forecast.residuals import ConformalResiduals
from tickloom.forecast.versions import CHAMPION, Listing, Version, listing_of, version_of

ARTIFACTS = "package"
_NAME = "tickloom"
_PAGE = 500


def local_uri(home: Path) -> str:
    """Return the address of the registry in a folder of this machine, which is made."""
    folder = home.resolve() / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    return f"{SQLITE}{folder / 'mlflow.db'}"


class Registry:
    """The models of one MLflow.

    Parameters
    ----------
    uri
        Tracking URI, such as ``http://mlflow:5000`` or ``sqlite:////var/lib/mlflow.db``. Who one is, MLflow reads from
        ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._listing: tuple[Stamp | None, Listing] | None = None
        with reaching(self.uri):
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            create(uri)
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def push(self, folder: Path, tags: Mapping[str, str] | None = None) -> Version:
        """Register the trained model of a folder, and return its version.

        Where the ticker has no champion, the random walk is registered before as the first one. The folder's
        ``evaluation`` becomes a folder of the run's own, so that a forecast does not have to fetch it.

        Parameters
        ----------
        tags
            Of the version, beside its own; the random walk has none of them.

        Raises
        ------
        TickloomError
            The folder holds no whole model, or MLflow does not answer; the folder stays, to be pushed again.
        """
        manifest = package.read_manifest(folder)
        with reaching(
            self.uri, f"{folder} is whole; register it later with `tickloom models {manifest.ticker} --push {folder}`"
        ):
            self._ensure_champion(manifest, package.read_errors(folder, REFERENCE))
            return self._push(folder, manifest, tags or {})

    def _push(self, folder: Path, manifest: Manifest, tags: Mapping[str, str]) -> Version:
        run = self._client.create_run(self._experiment(manifest), run_name=manifest.model, tags=shown.tags(manifest))
        try:
            self._log(run.info.run_id, manifest, folder)
            self._client.set_terminated(run.info.run_id, "FINISHED")
            return self._version(manifest, run.info.run_id, run.info.artifact_uri, tags)
        except BaseException:
            self._fail(run.info.run_id)
            raise

    def _ensure_champion(self, manifest: Manifest, errors: ConformalResiduals | None) -> None:
        """Register the random walk as the first champion of a ticker that has none."""
        known = self._versions(manifest.registered_name)
        if any(CHAMPION in it.aliases for it in known):
            return
        # one that was registered before MLflow broke off will do
        first = next((it for it in known if it.model == REFERENCE), None)
        if first is None:
            naive = make(REFERENCE, manifest.horizon)
            with tempfile.TemporaryDirectory() as folder:
                own = {REFERENCE: errors} if errors is not None else {}
                package.write(Path(folder), naive, manifest.of_reference(naive), own)
                first = self._push(Path(folder), package.read_manifest(Path(folder)), {})
        self._client.set_registered_model_alias(first.name, CHAMPION, str(first.number))

    def versions(self, market: str, ticker: str) -> list[Version]:
        """Return the versions of a ticker's models, newest first; none where it is unknown."""
        with reaching(self.uri):
            return self._versions(f"{_NAME}.{market}.{ticker}")

    def _versions(self, name: str) -> list[Version]:
        found = self._client.search_model_versions(f"name='{name}'")
        registered = self._client.search_registered_models(f"name='{name}'")
        aliases: dict[str, list[str]] = {}
        for model in registered:
            for alias, number in model.aliases.items():
                aliases.setdefault(str(number), []).append(alias)
        made = [version_of(it, aliases.get(str(it.version), ())) for it in found]
        return sorted(made, key=lambda it: -it.number)

    def tags(self, market: str, ticker: str, number: int) -> dict[str, str]:
        """Return the tags of a version."""
        with reaching(self.uri):
            return dict(self._client.get_model_version(f"{_NAME}.{market}.{ticker}", str(number)).tags or {})

    def tag(self, market: str, ticker: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version; those of the same name are replaced."""
        with reaching(self.uri):
            for name, value in tags.items():
                self._client.set_model_version_tag(f"{_NAME}.{market}.{ticker}", str(number), name, value)

    def catalogue(self) -> dict[tuple[str, str], dict[str, int]]:
        """Return the aliases of all tickers' models, by market and ticker: which version each one names."""
        return self.listing().aliases

    def listing(self) -> Listing:
        """Return all registered models; a database in a file is read again only when the file has changed."""
        stamp = changed(Path(self.uri.removeprefix(SQLITE))) if self.uri.startswith(SQLITE) else None
        if stamp is None or self._listing is None or stamp != self._listing[0]:
            with reaching(self.uri):
                self._listing = stamp, listing_of(self._registered())
        return self._listing[1]

    def _registered(self) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_registered_models(f"name LIKE '{_NAME}.%'", max_results=_PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def move_alias(self, market: str, ticker: str, alias: str, number: int | None) -> None:
        """Have an alias name a version, or none."""
        name = f"{_NAME}.{market}.{ticker}"
        with reaching(self.uri):
            if number is None:
                self._client.delete_registered_model_alias(name, alias)
            else:
                self._client.set_registered_model_alias(name, alias, str(number))

    def pull(self, market: str, ticker: str, folder: Path, version: str = CHAMPION) -> Version:
        """Bring the files of a version, named by alias or number, into a folder, and return what it is.

        Raises
        ------
        TickloomError
            There is no such version.
        """
        known = self.versions(market, ticker)
        chosen = [it for it in known if version == str(it.number) or version in it.aliases]
        if not chosen:
            names = ", ".join(f"{it.number} ({', '.join((it.model, *it.aliases))})" for it in known) or "none"
            raise TickloomError(
                f"{ticker} on {market} has no version {version!r} in {self.uri}; known: {names}; "
                + ("name one of these" if known else f"`tickloom train {ticker} --model ridge` makes one")
            )
        with reaching(self.uri):
            from mlflow.artifacts import download_artifacts

            download_artifacts(
                run_id=chosen[0].run, artifact_path=ARTIFACTS, dst_path=str(folder), tracking_uri=self.uri
            )
        return chosen[0]

    def log_folder(
        self, experiment: str, name: str, folder: Path, *, tags: Mapping[str, str], metrics: Mapping[str, float]
    ) -> str:
        """Write the files of a folder into a run of an experiment of any name, and return the run's id.

        Raises
        ------
        TickloomError
            MLflow does not answer; the folder stays.
        """
        from mlflow.entities import Metric

        with reaching(self.uri):
            run = str(self._client.create_run(self._named(experiment), run_name=name, tags=dict(tags)).info.run_id)
            try:
                told = [Metric(key, value, 0, 0) for key, value in metrics.items() if math.isfinite(value)]
                self._client.log_batch(run, metrics=told)
                self._client.log_artifacts(run, str(folder))
                self._client.set_terminated(run, "FINISHED")
            except BaseException:
                self._fail(run)
                raise
            return run

    def _experiment(self, manifest: Manifest) -> str:
        return self._named(f"tickloom/{manifest.market}/{manifest.ticker}")

    def _named(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # a database in a file has its artifacts beside it; a server knows where its own are
        own = Path(self.uri.removeprefix(SQLITE)).parent / "artifacts" if self.uri.startswith(SQLITE) else None
        return str(self._client.create_experiment(name, own.as_uri() if own else None))

    def _log(self, run: str, manifest: Manifest, folder: Path) -> None:
        from mlflow.entities import Metric, Param

        parameters = [Param(key, value) for key, value in shown.parameters(manifest).items()]
        metrics = [Metric(key, value, 0, step) for key, value, step in shown.metrics(manifest)]
        self._client.log_batch(run, metrics=metrics, params=parameters)
        self._client.log_inputs(run, [shown.dataset(manifest)])
        for it in sorted(folder.iterdir()):
            if it.is_dir():
                place = it.name if it.name == package.EVALUATION else f"{ARTIFACTS}/{it.name}"
                self._client.log_artifacts(run, str(it), place)
            else:
                self._client.log_artifact(run, str(it), ARTIFACTS)
        self._client.log_text(run, flavour.mlmodel(folder, manifest, run), f"{ARTIFACTS}/{flavour.FILE}")

    def _version(self, manifest: Manifest, run: str, artifacts: str, more: Mapping[str, str]) -> Version:
        from mlflow.exceptions import MlflowException

        name, new = manifest.registered_name, True
        try:
            self._client.create_registered_model(name, description=f"Forecasts of {manifest.ticker}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            new = False
        tags = {
            **lineage.made(manifest.data_sha256),
            **more,
            "model": manifest.model,
            "verdict": manifest.verdict,
            "created": manifest.created,
        }
        if manifest.remark:
            tags["remark"] = manifest.remark
        source, text = f"{artifacts}/{ARTIFACTS}", package.card(manifest)
        try:
            made = self._client.create_model_version(name, source, run, tags=tags, description=text)
        except BaseException:
            with suppress(Exception):  # a name without versions is half of a registration
                if new and not self._client.search_model_versions(f"name='{name}'"):
                    self._client.delete_registered_model(name)
            raise
        return version_of(made, ())

    def _fail(self, run: str) -> None:
        """Mark a run as failed, if MLflow still hears it."""
        with suppress(Exception):
            self._client.set_terminated(run, "FAILED")
