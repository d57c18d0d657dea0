"""Reads a folder as Kubernetes mounts a Secret: one file for each key."""

from dataclasses import dataclass
from pathlib import Path

from tickloom.errors import ConfigurationError


@dataclass(frozen=True)
class Mounted:
    """A folder of credentials, and the variable that names it.

    No error that is raised here tells what a file holds.

    Parameters
    ----------
    variable
        Such as ``TICKLOOM_KAFKA_CREDENTIALS``; every error begins with it.
    needs
        What the folder must hold, in words.
    """

    variable: str
    folder: Path
    needs: str = "username and password"

    def file(self, name: str) -> Path | None:
        """Return the path of a file, None where it is not there."""
        path = self.folder / name
        return path.absolute() if path.exists() else None

    def text(self, name: str, default: str | None = None) -> str:
        """Return what a file holds; a line break at its end is not part of it.

        Raises
        ------
        ConfigurationError
            The file is missing and there is no default, or it is empty or not readable.
        """
        path = self.folder / name
        try:
            text = path.read_text(encoding="utf-8").rstrip("\r\n")
        except FileNotFoundError:
            if default is not None:
                return default
            raise self.error(f"{path} is missing; the folder needs {self.needs}") from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise self.error(f"{path} is not readable: {reason}") from None
        if not text:
            raise self.error(f"{path} is empty; write the {name} into it")
        return text

    def choice(self, name: str, known: tuple[str, ...], default: str) -> str:
        """Return what a file holds that can hold one of a few words; raises as ``text`` does, and for other words."""
        text = self.text(name, default)
        if text not in known:
            raise self.error(f"{self.folder / name}: {text!r} is unknown; known: {', '.join(known)}")
        return text

    def error(self, text: str) -> ConfigurationError:
        """Return an error that begins with the variable."""
        return ConfigurationError(f"{self.variable}: {text}")
