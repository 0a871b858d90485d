"""Heals a defect of SoftHSM 2.6: it empties a token's file at every login before it writes it anew.

A process killed in between leaves a token of no bytes, which no module finds again. The supervisor therefore keeps the
last whole content of each such file, and puts it back where the file stays empty. Keys stand in files of their own and
are not touched. Real HSMs need nothing of this; without SoftHSM the keeper has no files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from appliance.box.home import Home
from appliance.files import open_directory, open_file, read_file, write_file

VARIABLE = "SOFTHSM2_CONF"
TOKEN_FILE = "token.object"
TOKEN_BYTES = 1024 * 1024
"""Of a token's file; SoftHSM's have a few hundred."""
EMPTY_LOOKS = 2
"""A file that is empty in as many looks in a row is not being written: it was torn."""

log = structlog.get_logger("softhsm")


def token_directory(environment: Mapping[str, str]) -> Path | None:
    """Where SoftHSM's configuration keeps its tokens; None where the box does not use SoftHSM."""
    configuration = environment.get(VARIABLE)
    if configuration is None:
        return None
    try:
        text = Path(configuration).read_text()
    except OSError:
        return None
    found = re.search(r"^\s*directories\.tokendir\s*=\s*(\S+)\s*$", text, re.MULTILINE)
    return None if found is None else Path(found.group(1))


class TokenKeeper:
    """Keeps and heals the token files of one box."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        self._directory = token_directory(environment)
        self._copies = home.tokens / "kept"
        self._seen: dict[Path, int] = {}
        """Modification time, nanoseconds, of each file as kept."""
        self._empty: dict[Path, int] = {}
        self._told: set[Path] = set()

    def heal_now(self) -> None:
        """Before anything opens a token: an empty file is torn, for nobody can be writing it."""
        for path in self._files():
            with self._untrusted(path):
                if path.stat().st_size == 0:
                    self._heal(path)
                else:
                    self._keep(path)

    def look(self) -> None:
        """While the box runs: keep what changed, heal what stays empty."""
        for path in self._files():
            with self._untrusted(path):
                status = path.stat()
                if status.st_size:
                    self._empty.pop(path, None)
                    if self._seen.get(path) != status.st_mtime_ns:
                        self._keep(path)
                    continue
                self._empty[path] = self._empty.get(path, 0) + 1
                if self._empty[path] >= EMPTY_LOOKS:
                    self._heal(path)

    @contextlib.contextmanager
    def _untrusted(self, path: Path) -> Iterator[None]:
        """The tokens' user owns these directories, and root looks into them: what is no plain file there, or a link, is
        neither kept nor written, and stops nobody."""
        try:
            yield
        except OSError as error:
            if path not in self._told:
                self._told.add(path)
                log.error("token-not-kept", token=path.parent.name, error=str(error))

    def _files(self) -> list[Path]:
        return [] if self._directory is None else list(self._directory.glob(f"*/{TOKEN_FILE}"))

    def _copy(self, path: Path) -> Path:
        return self._copies / f"{path.parent.name}.{TOKEN_FILE}"

    def _keep(self, path: Path) -> None:
        with open_file(path) as file:
            fcntl.lockf(file, fcntl.LOCK_SH)
            status, content = os.fstat(file.fileno()), file.read(TOKEN_BYTES)
        if content:
            self._seen[path] = status.st_mtime_ns
            copy = self._copy(path)
            if not copy.exists() or read_file(copy, TOKEN_BYTES) != content:
                with contextlib.suppress(FileExistsError):
                    self._copies.mkdir(mode=0o700)
                os.close(open_directory(self._copies))
                write_file(copy, content, 0o600)

    def _heal(self, path: Path) -> None:
        copy = self._copy(path)
        if not copy.exists():
            log.error("token-torn", token=path.parent.name)
            return
        with open_file(path, write=True) as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_size:
                return
            file.write(read_file(copy, TOKEN_BYTES))
            file.flush()
            os.fsync(file.fileno())
        self._empty.pop(path, None)
        log.warning("token-healed", token=path.parent.name)
