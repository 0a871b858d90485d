"""The desk from the other side: one blocking connection, a typed method for each call. Not for several threads."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from appliance.errors import CinnabarError, Unavailable
from appliance.recorder.frames import FrameReader, frame

_URN = "urn:cinnabar:problem:"


class DeskUnavailable(Unavailable):
    """The keymaster does not answer."""

    code = "keymaster-unavailable"
    title = "The keymaster does not answer"


class FrameClient:
    """Calls over a unix socket, as appliance.keymaster.serving answers them; a context manager."""

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        """Raises DeskUnavailable."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._frames = FrameReader()
        self._ticket = 0
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise DeskUnavailable("the keymaster does not answer") from error

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(self, method: str, *arguments: object) -> Any:
        """Any method by its name. Raises DeskUnavailable, and the problem that was answered as an exception of its own
        code, status, title and control."""
        self._ticket += 1
        try:
            self._socket.sendall(frame(msgspec.msgpack.encode([self._ticket, method, list(arguments)])))
            while True:
                data = self._socket.recv(1 << 18)
                if not data:
                    raise DeskUnavailable("the keymaster closed the connection")
                for payload in self._frames.take(data):
                    ticket, good, value = msgspec.msgpack.decode(payload)
                    if ticket != self._ticket:
                        continue
                    if not good:
                        raise error_of(value)
                    return value
        except OSError as error:
            raise DeskUnavailable("the keymaster does not answer") from error


def error_of(problem: dict[str, Any]) -> CinnabarError:
    """The exception that a problem document stands for: of our class of that code where there is one."""
    code = str(problem.get("type", "")).removeprefix(_URN)
    known = _classes().get(code)
    if known is None:
        members = {name: problem.get(name) for name in ("title", "status", "control", "retriable")}
        known = type("RemoteProblem", (CinnabarError,), {"code": code, **members})
    return known(str(problem.get("detail", "")))


def _classes() -> dict[str, type[CinnabarError]]:
    import appliance.ceremonies  # noqa: PLC0415 - so that their errors are known
    import appliance.keymaster.errors  # noqa: F401, PLC0415

    found: dict[str, type[CinnabarError]] = {}
    waiting: list[type[CinnabarError]] = [CinnabarError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found


class DeskClient(FrameClient):
    """The keymaster's desk. Nothing that is asked here has authority; officers' signatures have."""

    def status(self) -> dict[str, Any]:
        """How the keymaster stands: constitution, executions, actions that it serves."""
        return self.call("status")  # type: ignore[no-any-return]

    def constitution(self) -> bytes:
        """The constitution in force, canonical; empty before the founding."""
        return self.call("constitution")  # type: ignore[no-any-return]

    def constitutions(self) -> list[bytes]:
        """Every version with what made it (appliance.ceremonies.chain.ConstitutionVersion), canonical."""
        return self.call("constitutions")  # type: ignore[no-any-return]

    def draft(self, requester: str, title: str, reason: str, actions: bytes, hours: int = 24) -> bytes:
        """The canonical bytes of a proposal that would be taken now. `actions`: a JSON list. Nothing is kept."""
        return self.call("draft", requester, title, reason, actions, hours)  # type: ignore[no-any-return]

    def submit(self, proposal: bytes) -> str:
        """Take a proposal in; its digest."""
        return self.call("submit", proposal)  # type: ignore[no-any-return]

    def proposals(self, scopes: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Summaries of the proposals that touch one of the scopes (None: all), the newest first."""
        return self.call("proposals", None if scopes is None else list(scopes))  # type: ignore[no-any-return]

    def proposal(self, digest: str) -> dict[str, Any]:
        """proposal and statements (canonical bytes), tally, state, steps."""
        return self.call("proposal", digest)  # type: ignore[no-any-return]

    def state_(self, statement: bytes) -> dict[str, Any]:
        """Hand in an officer's statement; the summary of the proposal after it."""
        return self.call("state", statement)  # type: ignore[no-any-return]

    def execute(self, digest: str, patience_s: float = 0.0) -> dict[str, Any]:
        """Begin to execute, wait for the end for up to `patience_s` (at most 30) seconds; the summary then."""
        return self.call("execute", digest, patience_s)  # type: ignore[no-any-return]

    def transcript(self, digest: str) -> dict[str, Any]:
        """Everything that happened, with times and leaf indexes; outputs as bytes by step and name."""
        return self.call("transcript", digest)  # type: ignore[no-any-return]

    def bundle(self, digest: str) -> bytes:
        """The record bundle of a ceremony that has ended (docs/ceremonies.md); it may wait some seconds for logs."""
        return self.call("bundle", digest)  # type: ignore[no-any-return]

    def candidates(self) -> list[dict[str, Any]]:
        """Who has made a credential and is not yet an officer by it."""
        return self.call("candidates")  # type: ignore[no-any-return]

    def invite(self, person: str, name: str) -> str:
        """A one-time code for an enrolment link: it carries no authority."""
        return self.call("invite", person, name)  # type: ignore[no-any-return]

    # What pages show: public facts

    def inventory(self, scopes: Sequence[str]) -> list[dict[str, Any]]:
        """The keys of these scopes with their certificates (appliance.keymaster.answers.ShownKey)."""
        return self.call("inventory", list(scopes))  # type: ignore[no-any-return]

    def key_attributes(self, token: str, uri: str) -> dict[str, Any]:
        """What a token says of a key now. Raises NotFound, and what the token fails with."""
        return self.call("key_attributes", token, uri)  # type: ignore[no-any-return]

    def tenants(self) -> list[dict[str, Any]]:
        """Every tenant: state, token, log, quota, and what is used of it today."""
        return self.call("tenants")  # type: ignore[no-any-return]

    def applications(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's applications with permissions, states and certificates."""
        return self.call("applications", tenant)  # type: ignore[no-any-return]

    def policies(self, tenant: str) -> list[bytes]:
        """The newest version of each of a tenant's approval policies, canonical."""
        return self.call("policies", tenant)  # type: ignore[no-any-return]

    def updates(self) -> list[bytes]:
        """Every approved update, canonical."""
        return self.call("updates")  # type: ignore[no-any-return]
