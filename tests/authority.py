"""Certificates for tests, made with the command `openssl`."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]


@dataclass(frozen=True)
class Authority:
    """Signs certificates; its own is ``certificate``."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """Make a new one in a folder."""
        if shutil.which("openssl") is None:
            pytest.skip("needs openssl on PATH")
        folder.mkdir(parents=True)
        made = cls(folder)
        made._run("-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", made.certificate)
        return made

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def sign(self, into: Path, names: str) -> Path:
        """Put ``ca.crt``, ``tls.crt``, ``tls.key`` and ``tls-combined.pem`` into a folder, as cert-manager does.

        Parameters
        ----------
        names
            Such as ``DNS:cassandra.test,IP:127.0.0.1``.
        """
        into.mkdir(parents=True, exist_ok=True)
        signer = ["-CA", self.certificate, "-CAkey", self.folder / "ca.key"]
        about = ["-subj", "/CN=leaf", "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE"]
        self._run(*signer, *about, "-keyout", into / "tls.key", "-out", into / "tls.crt")
        shutil.copy(self.certificate, into / "ca.crt")
        combined = f"{(into / 'tls.key').read_text()}\n{(into / 'tls.crt').read_text()}"
        (into / "tls-combined.pem").write_text(combined)
        return into

    @staticmethod
    def _run(*arguments: str | Path) -> None:
        subprocess.run(["openssl", "req", "-x509", *_KEY, *arguments], check=True, capture_output=True)


def encryption(folder: object) -> dict[str, object]:
    """Return the ``client_encryption_options`` of a node with these certificates: those that the chart renders."""
    return {
        "enabled": True,
        "optional": False,
        "require_client_auth": True,
        "ssl_context_factory": {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
        "keystore": f"{folder}/tls-combined.pem",
        "truststore": f"{folder}/ca.crt",
    }
