"""Which user each process of the box runs under, and who owns which file.

Started as root, the box separates its processes by numeric users that need no entry in the passwd file. A user that
cannot reach the interpreter or the home (a home under a private directory) would stop the box, so separation is tried
first and its absence is shown in the status instead of being hidden.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from appliance.box import process
from appliance.box.settings import UserSettings


@dataclass(frozen=True)
class ProcessUsers:
    """Numeric users; None: the supervisor's own. `note` says why they are not separate, for the status."""

    tokens: int | None = None
    recorder: int | None = None
    front: int | None = None
    documents: int | None = None
    note: str = ""

    @property
    def separate(self) -> bool:
        return None not in (self.tokens, self.recorder, self.front, self.documents)

    def settings(self) -> UserSettings:
        return UserSettings(tokens=self.tokens, recorder=self.recorder, front=self.front, documents=self.documents)

    def directory(self, path: Path, user: int | None, mode: int, *, group: int | None = None) -> None:
        """Make a directory (its parents must exist), or set owner and mode of one that stands."""
        path.mkdir(parents=True, exist_ok=True)
        if self.separate:
            owner = os.getuid() if user is None else user
            os.chown(path, owner, owner if group is None else group)
        path.chmod(mode)

    def give(self, path: Path, user: int | None, *, create: bool = False) -> None:
        """Hand a file or a whole tree to a user; nothing happens where processes are not separate."""
        if create:
            path.mkdir(parents=True, exist_ok=True)
        if not self.separate or user is None:
            return
        os.chown(path, user, user)
        if path.is_dir():
            for directory, names, files in os.walk(path):
                for name in (*names, *files):
                    os.chown(Path(directory) / name, user, user, follow_symlinks=False)


def resolve_users(root: Path, configured: UserSettings) -> ProcessUsers:
    """The users that this start of the box can really separate its processes by."""
    wanted = (configured.tokens, configured.recorder, configured.front, configured.documents)
    if None in wanted:
        return ProcessUsers(note="no users are configured: all processes share one")
    if os.geteuid() != 0:
        return ProcessUsers(note="not started as root: all processes share one user")
    for user in wanted:
        if not _reaches(user, root):
            return ProcessUsers(note=f"user {user} cannot reach the interpreter or the home: all processes share one")
    return ProcessUsers(*wanted)


def _reaches(user: int | None, root: Path) -> bool:
    probe = (*process.interpreter(), "-c", "import appliance.box.home, os, sys; os.stat(sys.argv[1])", str(root))
    try:
        return (
            subprocess.run(
                probe, user=user, group=user, extra_groups=[], cwd="/", env={}, capture_output=True, check=False
            ).returncode
            == 0
        )
    except PermissionError:
        return False
