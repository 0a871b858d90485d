"""Every operation of the service, declared beside its handler: who may ask, about whose scope, in which states of the
box, with which body, for which answer. Routes, enforcement, OpenAPI and the test of the whole matrix come from here.

An operation is a page and a resource of the REST API at once: the handler returns one structure, which the page shows
by its template and the API gives as JSON under /api/v1. What has no declaration has no route.

The order in which a request is refused: cross-site (403), not signed in (401), no role at all (403), a thing of a
foreign scope or none (404, alike), state of the box (409), passkey to be shown again (403), body (422).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from appliance.box.states import State
from mgmt_service.roles import EVERYONE, Role, Viewer

if TYPE_CHECKING:
    from mgmt_service.services import Services

Finder = Callable[["Services", str], frozenset[str]]
"""The scopes of the thing that a path parameter names. Raises NotFound."""

ALL_STATES: Final = frozenset(State)
WORKING: Final = frozenset({State.OPERATIONAL, State.DEGRADED, State.READ_ONLY, State.LOCKED})
"""States in which the keymaster takes work in; a locked box is unlocked by a ceremony."""


class Entry(enum.Enum):
    """Who may come in at all."""

    ANYBODY = "anybody"
    """Without a session: signing in, errors, files."""
    SIGNED_IN = "signed in"
    """Any session, also of a person without a role."""
    ROLES = "roles"
    """One of the roles, in the operation's scope."""


@dataclass(frozen=True)
class Mine:
    """About all the viewer's scopes: the handler shows those in which she has the role, and no other."""


@dataclass(frozen=True)
class Fixed:
    """About one scope, the same for all."""

    scope: str


@dataclass(frozen=True)
class Named:
    """About the scope of what a path parameter names."""

    parameter: str
    find: Finder


ScopeRule = Mine | Fixed | Named


@dataclass(frozen=True, kw_only=True)
class Access:
    entry: Entry = Entry.ROLES
    roles: frozenset[Role] = EVERYONE
    scope: ScopeRule = Mine()
    states: frozenset[State] = ALL_STATES
    recent: bool = False
    """Whether the passkey must have been shown within sessions.PROOF_SECONDS."""
    touches: bool = True
    """Whether asking shows that a person is there; what pages ask for by themselves does not."""


class Next(msgspec.Struct, frozen=True):
    """The answer of an act: where its outcome is to be seen, and a word to say there."""

    next: str
    said: str = ""


class Nothing(msgspec.Struct, frozen=True):
    """An empty answer."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """See the module."""

    area: str
    name: str
    method: Literal["GET", "POST"]
    path: str
    """Of the page, Werkzeug's syntax; the API's is the same under /api/v1."""
    access: Access
    handler: Callable[..., Any]
    summary: str
    takes: type[msgspec.Struct] | None = None
    """Form of the body: a JSON object, or the same by an HTML form."""
    query: type[msgspec.Struct] | None = None
    """Form of the query."""
    gives: type[Any] = Nothing
    """Form of the answer; bytes: a file."""
    template: str | None = None
    """None: no page of its own."""
    api: bool = True
    page: bool = True

    @property
    def endpoint(self) -> str:
        return f"{self.area}.{self.name}"


@dataclass
class Area:
    """The operations of one part of the service."""

    name: str
    operations: list[Operation] = field(default_factory=list)

    def read(
        self,
        path: str,
        *,
        access: Access,
        gives: type[Any],
        template: str | None = None,
        query: type[msgspec.Struct] | None = None,
        api: bool = True,
        page: bool = True,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare an operation that changes nothing."""

        def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
            self._add(handler, "GET", path, access, gives, template=template, query=query, api=api, page=page)
            return handler

        return declare

    def act(
        self,
        path: str,
        *,
        access: Access,
        takes: type[msgspec.Struct] | None = None,
        gives: type[Any] = Next,
        template: str | None = None,
        api: bool = True,
        page: bool = True,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare an operation that changes something. On a page it answers with `Next` or with a page of its own."""

        def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
            self._add(handler, "POST", path, access, gives, template=template, takes=takes, api=api, page=page)
            return handler

        return declare

    def _add(
        self,
        handler: Callable[..., Any],
        method: Literal["GET", "POST"],
        path: str,
        access: Access,
        gives: type[Any],
        **more: Any,
    ) -> None:
        if not isinstance(access, Access):
            raise TypeError(f"{handler.__name__} has no declared access")
        summary = (handler.__doc__ or "").strip().partition("\n")[0]
        if not summary:
            raise TypeError(f"{handler.__name__} does not say what it does")
        self.operations.append(
            Operation(
                area=self.name,
                name=handler.__name__,
                method=method,
                path=path,
                access=access,
                handler=handler,
                summary=summary,
                gives=gives,
                **more,
            )
        )


class Verdict(enum.Enum):
    """What the rule of access says of a request."""

    ALLOWED = "allowed"
    SIGN_IN = "sign in"
    NO_ROLE = "no role"
    UNKNOWN = "unknown"
    """Of a foreign scope, or of none: the two are alike (control CHANNEL)."""
    STATE = "state"
    PROOF = "proof"


def judge(
    access: Access,
    viewer: Viewer | None,
    scopes: Iterable[str] | None,
    state: State,
    *,
    proven: bool,
) -> Verdict:
    """The rule of access, without I/O. `scopes`: of the named thing; None where the operation names none or the thing
    is unknown."""
    if access.entry is Entry.ANYBODY:
        return Verdict.ALLOWED if state in access.states else Verdict.STATE
    if viewer is None:
        return Verdict.SIGN_IN
    if access.entry is Entry.ROLES:
        if not viewer.scopes(access.roles):
            return Verdict.NO_ROLE
        match access.scope:
            case Fixed(scope):
                if not viewer.has(access.roles, scope):
                    return Verdict.NO_ROLE
            case Named():
                if scopes is None or not any(viewer.has(access.roles, scope) for scope in scopes):
                    return Verdict.UNKNOWN
            case Mine():
                pass
    if state not in access.states:
        return Verdict.STATE
    if access.recent and not proven:
        return Verdict.PROOF
    return Verdict.ALLOWED
