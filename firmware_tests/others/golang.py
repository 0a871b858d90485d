"""Go's own packages as verifiers that are not ours: small programs, compiled once in a test session."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_SOURCES = Path(__file__).parent / "go"
_GOPATH = Path("/usr/share/gocode")


class Go:
    """Runs the programs of firmware_tests/others/go, compiled into `directory` with Debian's packages."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("go") is None or not (_GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
            raise FileNotFoundError("install golang-go and golang-golang-x-mod-dev")
        self._directory = directory

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program; its output and exit status are the test's to judge."""
        binary = self._directory / program
        if not binary.exists():
            environment = {
                **os.environ,
                "GO111MODULE": "off",
                "GOPATH": str(_GOPATH),
                "GOCACHE": str(self._directory / "cache"),
                "GOFLAGS": "",
            }
            subprocess.run(
                ["go", "build", "-o", str(binary), "."],
                cwd=_SOURCES / program,
                env=environment,
                check=True,
                timeout=240,
            )
        return subprocess.run(
            [str(binary), *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=False, timeout=60
        )
