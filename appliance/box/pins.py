"""Each user's copies of the PINs that its processes need, and where a process finds its own.

HOME/secrets/NAME.pin are the originals, which people write. A PIN is for several processes, which may run under several
users, and a PIN file is for one user alone (hsm.pins): so the supervisor keeps HOME/secrets/for/USER/TOKEN.pin, in a
directory that this user can write to, where hsm.pins notes that the token refused the PIN. A process that is started
again then does not try it again, until the original is written anew and copied.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.box.home import Home
from appliance.box.settings import BoxSettings, TokenSettings
from appliance.box.users import TOKEN_KINDS, ProcessUsers
from appliance.files import write_file

REFUSED_SUFFIX = ".refused"


def tokens_of(settings: BoxSettings, kind: str) -> set[str]:
    """Names of the tokens that a kind of process opens, and whose PINs it therefore needs."""
    if kind == "audit":
        return {tenant.token for tenant in settings.tenants}  # their content keys are wrapped there
    if kind == "worker":
        tenants = {tenant.token for tenant in settings.tenants}
        tenants |= {key.token for tenant in settings.tenants for key in tenant.agreement_keys}
        shared = {federation.token for federation in settings.federations}
        return tenants | shared | {unit.token for unit in settings.units} | {key.token for key in settings.seal_keys}
    if kind == "log":
        return {key.token for log in settings.logs for key in log.keys}
    if kind == "keymaster":
        return {token.name for token in settings.tokens}  # it makes, compares and destroys keys in all of them
    return set()


def pin_path(home: Home, token: TokenSettings, *, standby: bool = False) -> Path:
    """The PIN file of a token for this process: its user's copy, or the original where its user has none."""
    copy = _directory(home, token, os.geteuid()) / _name(token.name, standby=standby)
    return copy if copy.exists() else _original(home, token, standby=standby)


def _directory(home: Home, token: TokenSettings, user: int) -> Path:
    return _root(home, token) / "for" / str(user)


def _root(home: Home, token: TokenSettings) -> Path:
    """Where PINs stand in clear: with the secrets, or in memory where the disk has them under lock."""
    return home.secrets if token.pin_source == "file" else home.memory_pins


def _name(token: str, *, standby: bool) -> str:
    return f"{token}.standby.pin" if standby else f"{token}.pin"


def _original(home: Home, token: TokenSettings, *, standby: bool) -> Path:
    own = standby and token.standby_pin_file is not None
    if token.pin_source != "file":
        return home.memory_pins / _name(token.name, standby=own)
    return home.root / ((token.standby_pin_file if own else None) or token.pin_file)


class PinCopies:
    """The supervisor's side: makes the copies, and makes them anew when an original is written anew."""

    def __init__(self, home: Home, settings: BoxSettings, users: ProcessUsers) -> None:
        self._roots = (home.secrets / "for", home.memory_pins / "for")
        self.box_token = settings.authorities[0].token if settings.authorities else ""
        """The token that the keymaster judges ceremonies with."""
        self._users = users
        self._wanted: dict[Path, tuple[Path, int]] = {}
        """Original and user of each copy."""
        if users.separate:
            for user, token, standby in _needed(settings, users):
                copy = _directory(home, token, user) / _name(token.name, standby=standby)
                self._wanted[copy] = (_original(home, token, standby=standby), user)

    def prepare(self) -> None:
        """At the start: directories, copies, and no copy that its user does not need."""
        if not self._users.separate:
            return
        for root in {copy.parent.parent for copy in self._wanted}:
            self._users.directory(root, None, 0o711)
        for copy, (_, user) in self._wanted.items():
            self._users.directory(copy.parent, user, 0o700)
        kept = {copy.name + suffix for copy in self._wanted for suffix in ("", REFUSED_SUFFIX)}
        for path in self._copies():
            if path.with_name(path.name.removesuffix(REFUSED_SUFFIX)) not in self._wanted or path.name not in kept:
                _take_away(path)
        self.look()

    def drop(self) -> None:
        """Take every copy away but the one that the keymaster judges ceremonies with: the box's own token's."""
        kept = (str(self._users.numbers.keymaster), _name(self.box_token, standby=False))
        for path in self._copies():
            if (path.parent.name, path.name) != kept:
                _take_away(path)

    def _copies(self) -> list[Path]:
        return [path for root in self._roots for path in root.glob("*/*")]

    def look(self) -> None:
        """Copy what is new. An original that is not there leaves its copy as it is."""
        for copy, (original, user) in self._wanted.items():
            with contextlib.suppress(FileNotFoundError):
                self._copy(original, copy, user)

    def _copy(self, original: Path, copy: Path, user: int) -> None:
        """A copy that is as old as its original stays the same file: what hsm.pins noted about it goes on to hold."""
        written = original.stat().st_mtime_ns
        with contextlib.suppress(FileNotFoundError):
            status = copy.lstat()
            if stat.S_ISREG(status.st_mode) and (status.st_uid, status.st_mtime_ns) == (user, written):
                return
        # Made where the user cannot write, and moved: nothing that it puts in its directory is ever opened by root.
        scratch = copy.parent.parent / ".new"
        scratch.unlink(missing_ok=True)
        write_file(scratch, original.read_bytes(), 0o600)
        os.utime(scratch, ns=(written, written))
        os.chown(scratch, user, user)
        try:
            scratch.replace(copy)
        except IsADirectoryError:
            _take_away(copy)
            with contextlib.suppress(IsADirectoryError):  # made again meanwhile: its user goes without
                scratch.replace(copy)


def _take_away(path: Path) -> None:
    """A file, or whatever its user has put in its place; nothing of that keeps others from being taken away."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)


def _needed(settings: BoxSettings, users: ProcessUsers) -> Iterator[tuple[int, TokenSettings, bool]]:
    """(user, token, whether its standby) of each PIN that a user needs."""
    for kind in TOKEN_KINDS:
        names = tokens_of(settings, kind)
        for token in settings.tokens:
            if token.name in names:
                yield getattr(users.numbers, kind), token, False
                if token.standby_uri is not None:
                    yield getattr(users.numbers, kind), token, True
