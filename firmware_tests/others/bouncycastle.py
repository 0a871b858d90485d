"""BouncyCastle as a verifier that is not ours: small Java programs, compiled once in a test session.

Each program takes several cases and prints one line a case, so that a JVM starts once for many.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("bcprov", "bcpkix", "bcutil")]
PDFBOX = [Path("/usr/share/java") / f"{name}.jar" for name in ("pdfbox2", "fontbox2", "commons-logging")]
"""Of libpdfbox2-java and what it needs."""
_SOURCES = Path(__file__).parent / "java"


class BouncyCastle:
    """Runs the programs of firmware_tests/others/java, compiled into `classes`."""

    def __init__(self, classes: Path, further: Sequence[Path] = ()) -> None:
        """`further`: jars beside BouncyCastle's."""
        jars = [*_JARS, *further]
        missing = [str(jar) for jar in jars if not jar.exists()]
        if missing:
            raise FileNotFoundError(f"install what provisioning/packages-test.txt lists: no {', '.join(missing)}")
        self._classes = classes
        self._compiled: set[str] = set()
        self._path = ":".join(map(str, [classes, *jars]))

    def run(self, program: str, *arguments: str | Path) -> list[str]:
        """The lines that `program` prints; raises CalledProcessError when it fails as a program."""
        if program not in self._compiled:
            source = _SOURCES / f"{program}.java"
            compiler = ["javac", "-Xlint:all,-path,-serial,-options", "-Werror", "-proc:none", "-cp", self._path,
                        "-d", str(self._classes), str(source)]  # fmt: skip
            subprocess.run(compiler, check=True, timeout=120)
            self._compiled.add(program)
        command = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", self._path, program]
        result = subprocess.run(
            [*command, *map(str, arguments)], check=True, stdout=subprocess.PIPE, timeout=120, text=True
        )
        return result.stdout.splitlines()
