"""The supervisor's control socket: the keymaster has settings adopted, the box locked, unlocked and stopped.

Nothing here has an officer's authority; that was judged by the keymaster. What the supervisor holds on its own are the
limits of what may ever change while the box runs (appliance.box.adoption), and that a secret is never written over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from appliance.box.adoption import AdoptionRefused, read_adoption
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.box.states import Cause
from appliance.calls.client import CallClient
from appliance.calls.server import CallServer, Method
from appliance.errors import Conflict, Unavailable
from appliance.files import sync_directory, write_file

LOCKS: Final = {cause.label: cause for cause in (Cause.LOCKED_BY_OFFICER, Cause.KEYS_UNEXPLAINED)}
"""Causes that lock the box until it is unlocked, also over a restart."""
_SECRET: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\.(?:pin|so-pin|content-key)\Z")
SECRET_BYTES: Final = 4_096


class SupervisorUnavailable(Unavailable):
    """The supervisor does not answer."""

    code = "supervisor-unavailable"
    title = "The box's supervisor does not answer"


class AdoptionFailed(Unavailable):
    """The box did not come up with the new settings, and goes on with the old ones."""

    code = "adoption-failed"
    title = "The box did not come up with the new settings"
    retriable = False


class SecretKept(Conflict):
    """Another secret stands under that name."""

    code = "secret-kept"
    title = "Another secret stands there already"


def read_locks(home: Home) -> dict[Cause, str]:
    """What locks the box, with details. A file that cannot be read locks it too."""
    try:
        said = msgspec.json.decode(home.lock.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError):
        return {Cause.LOCKED_BY_OFFICER: "the lock cannot be read"}
    found = {LOCKS[label]: detail for label, detail in said.items() if label in LOCKS}
    return found or {Cause.LOCKED_BY_OFFICER: ""}


class Controlled(Protocol):
    """The supervisor, as the control socket needs it."""

    home: Home

    async def adopt(self, following: BoxSettings) -> None: ...
    async def recover(self) -> None: ...
    async def take_front_certificate(self, chain: bytes, key: bytes) -> None: ...
    async def open_pins(self, passphrase: str) -> list[str]: ...
    def publish(self) -> None: ...
    def request_stop(self) -> None: ...


class ControlServer:
    """Serves the control socket for one life of the box."""

    def __init__(self, controlled: Controlled, users: frozenset[int], groups: frozenset[int]) -> None:
        self._box = controlled
        methods: Mapping[str, Method] = {
            "adopt": self.adopt,
            "lock": self.lock,
            "unlock": self.unlock,
            "locks": self.locks,
            "stop": self.shut_down,
            "recover": self.recover,
            "keep_secret": self.keep_secret,
            "front_certificate": self.front_certificate,
            "open_pins": self.open_pins,
        }
        self._server = CallServer("supervisor", methods, users, groups)

    async def start(self) -> None:
        # Who may speak is looked at when they connect; the mode lets them come so far.
        await self._server.start(self._box.home.supervisor_socket, 0o666)

    async def close(self) -> None:
        await self._server.stop()

    async def adopt(self, settings: bytes) -> None:
        await self._box.adopt(read_adoption(settings))

    async def lock(self, cause: str, detail: str = "") -> None:
        if cause not in LOCKS:
            raise AdoptionRefused(f"{cause[:64]!r} is no cause that locks")
        said = {found.label: text for found, text in read_locks(self._box.home).items()}
        # The file's time is when the box was last locked: what is found again every minute is no new finding.
        if cause not in said or cause != Cause.KEYS_UNEXPLAINED.label:
            write_file(self._box.home.lock, msgspec.json.encode(said | {cause: detail[:200]}))
        sync_directory(self._box.home.root)
        self._box.publish()

    async def unlock(self) -> None:
        self._box.home.lock.unlink(missing_ok=True)
        sync_directory(self._box.home.root)
        self._box.publish()

    async def locks(self) -> dict[str, str]:
        return {cause.label: detail for cause, detail in read_locks(self._box.home).items()}

    async def open_pins(self, passphrase: str) -> list[str]:
        return await self._box.open_pins(passphrase)

    async def front_certificate(self, chain: bytes, key: bytes) -> None:
        await self._box.take_front_certificate(chain, key)

    async def shut_down(self) -> None:
        self._box.request_stop()

    async def recover(self) -> None:
        await self._box.recover()

    async def keep_secret(self, name: str, content: bytes) -> None:
        if not _SECRET.match(name) or not 0 < len(content) <= SECRET_BYTES:
            raise AdoptionRefused("a secret is a PIN or a wrapped content key, under a plain name")
        path = self._box.home.secrets / name
        try:
            known: bytes | None = path.read_bytes()
        except FileNotFoundError:
            known = None
        if known is not None and known != content:
            raise SecretKept(f"another {name} stands there")
        if known is None:
            write_file(path, content, 0o600)
            sync_directory(path.parent)


class ControlClient(CallClient):
    """The keymaster's side. Every call has taken effect when it returns."""

    unavailable = SupervisorUnavailable
    patience = 300.0  # an adoption may take long

    def adopt(self, settings: BoxSettings) -> None:
        """Have the box go on with these settings; all its processes do when this returns.

        Raises AdoptionRefused, AdoptionFailed (then it goes on with the old ones), SupervisorUnavailable."""
        self.call("adopt", msgspec.json.encode(settings))

    def lock(self, cause: Cause, detail: str = "") -> None:
        """Lock the box for a cause of LOCKS, until it is unlocked. `detail`: no secrets, no tenants' names."""
        self.call("lock", cause.label, detail)

    def unlock(self) -> None:
        """Take every such lock away; what else locks the box still does."""
        self.call("unlock")

    def locks(self) -> dict[str, str]:
        """Causes of LOCKS that lock the box now, with details."""
        return self.call("locks")  # type: ignore[no-any-return]

    def open_pins(self, passphrase: str) -> list[str]:
        """Try an officer's passphrase on the PINs that wait at the start; what still waits. Raises PinLocked."""
        return self.call("open_pins", passphrase)  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Have the box shut down; it has begun to when this returns."""
        self.call("stop")

    def recover(self) -> None:
        """Lift the tamper latch, and have every process come back with its secrets."""
        self.call("recover")

    def front_certificate(self, chain: bytes, key: bytes) -> None:
        """Have the fronts go on with another certificate and key, PEM; no connection is dropped.

        Raises FrontCertificateRefused."""
        self.call("front_certificate", chain, key)

    def keep_secret(self, name: str, content: bytes) -> None:
        """Keep a PIN (NAME.pin, NAME.so-pin) or a wrapped content key (NAME.content-key) in HOME/secrets, root's alone.

        The same one again is no error. Raises SecretKept where another one stands there."""
        self.call("keep_secret", name, content)
