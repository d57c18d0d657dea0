"""Ivy, which lies among pyspark's own jars: fetches Maven artifacts into a folder."""

import importlib.util
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tickloom.errors import TickloomError
from tickloom.local.java import find_java

Progress = Callable[[str], None]
_FAILED = re.compile(
    r"(?:UNRESOLVED DEPENDENCY: |NOT FOUND\s*\] |FAILED\s*\] |not found: |problem while downloading )(\S.*)"
)


@dataclass(frozen=True, order=True)
class Artifact:
    """A Maven artifact, written ``group:name:version[:classifier]``."""

    group: str
    name: str
    version: str
    classifier: str = ""

    @classmethod
    def parse(cls, text: str) -> "Artifact":
        """Read ``group:name:version[:classifier]``; raises ValueError on anything else."""
        parts = text.split(":")
        if len(parts) not in (3, 4) or not all(parts):
            raise ValueError(text)
        return cls(*parts)

    def __str__(self) -> str:
        return ":".join(filter(None, (self.group, self.name, self.version, self.classifier)))

    @property
    def file(self) -> str:
        """The jar's file name; the group stands in it, since two groups may use one artifact name."""
        return f"{self.group}.{self.name}-{self.version}{'-' * bool(self.classifier)}{self.classifier}.jar"


def retrieve(
    artifacts: Sequence[Artifact],
    work: Path,
    pattern: str,
    *,
    settings_file: Path | None,
    transitive: bool = False,
    progress: Progress | None = None,
) -> None:
    """Fetch `artifacts` to the files that Ivy's `pattern` describes; `work` keeps what came, should it be interrupted.

    Raises
    ------
    TickloomError
        Something could not be had; names it and the fix.
    """
    if settings_file is not None and not settings_file.is_file():
        raise TickloomError(f"Ivy settings '{settings_file}' are not there: correct or unset TICKLOOM_IVY_SETTINGS")
    work.mkdir(parents=True, exist_ok=True)
    description = work / "ivy.xml"
    description.write_text(describe(artifacts, transitive=transitive), encoding="utf-8")
    chosen = [] if settings_file is None else ["-settings", str(settings_file)]
    command = [
        str(find_java().path), "-Xmx256m", "-jar", str(_jar()), *chosen, "-cache", str(work / "cache"),
        "-ivy", str(description), "-confs", "default", "-retrieve", pattern, "-types", "jar", "bundle",
    ]  # fmt: skip
    failures: list[str] = []
    fetched = 0
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                if "[SUCCESSFUL ]" in line:
                    fetched += 1
                    if progress:
                        progress(f"{fetched} fetched: {line.split('!')[-1].split('(')[0].strip()}")
                elif found := _FAILED.search(line):
                    failures.append(found.group(1).strip())
        except BaseException:
            process.kill()
            raise
    if process.returncode or failures:
        what = failures[0] if failures else f"Ivy ended with {process.returncode}"
        raise TickloomError(
            f"jars could not be fetched ({what}): check the network, or name a mirror in an Ivy settings file "
            "with TICKLOOM_IVY_SETTINGS; what came so far is kept and the next try goes on from there"
        )


def describe(artifacts: Sequence[Artifact], *, transitive: bool) -> str:
    """Return the ivy.xml that asks for `artifacts`, with or without what they depend on."""
    modules: dict[tuple[str, str, str], list[Artifact]] = {}
    for artifact in artifacts:
        modules.setdefault((artifact.group, artifact.name, artifact.version), []).append(artifact)
    lines = [
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">',
        '<info organisation="tickloom" module="local"/><configurations><conf name="default"/></configurations>',
        "<dependencies>",
    ]
    for (group, name, version), files in modules.items():
        target = "default(runtime)" if transitive else "default"
        lines.append(
            f"<dependency org={quoteattr(group)} name={quoteattr(name)} rev={quoteattr(version)} "
            f'conf="default-&gt;{target}" transitive="{str(transitive).lower()}">'
        )
        if not transitive:
            for file in files:
                classifier = f" m:classifier={quoteattr(file.classifier)}" if file.classifier else ""
                lines.append(f'<artifact name={quoteattr(name)} type="jar" ext="jar"{classifier}/>')
        lines.append("</dependency>")
    return "\n".join([*lines, "</dependencies></ivy-module>", ""])


def _jar() -> Path:
    """Return Ivy's jar, without importing pyspark."""
    spec = importlib.util.find_spec("pyspark")
    found = sorted(Path(spec.origin).parent.glob("jars/ivy-*.jar")) if spec and spec.origin else []
    if not found:
        raise TickloomError("Ivy was not found among pyspark's jars: install it with `pip install 'tickloom[stream]'`")
    return found[-1]
