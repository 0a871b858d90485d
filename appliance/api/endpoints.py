"""What an endpoint is: one declaration drives routing, limits, OpenAPI, the reference in docs/api.md and the tests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from appliance.api.messages import Request, Response
from appliance.box.settings import LimitSettings
from appliance.box.states import Work
from appliance.errors import CinnabarError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

ListenerName = Literal["applications", "tsa", "public", "revocation", "metrics", "approvals"]
LISTENERS: Final[tuple[ListenerName, ...]] = ("applications", "tsa", "public", "revocation", "metrics")
"""Those with an address of their own."""
APPROVALS: Final[frozenset[ListenerName]] = frozenset({"approvals"})
"""Where the approval origin of the management front leads what concerns drafts of letters."""
SOCKETS: Final[tuple[ListenerName, ...]] = (*LISTENERS, "approvals")
APPLICATIONS: Final[frozenset[ListenerName]] = frozenset({"applications"})

Handler = Callable[["Worker", Request], Coroutine[Any, Any, Response]]

MEDIA_JSON: Final = "application/json"
MEDIA_BYTES: Final = "application/octet-stream"
MEDIA_TEXT: Final = "text/plain"
MEDIA_CSV: Final = "text/csv"
MEDIA_NDJSON: Final = "application/x-ndjson"
MEDIA_STAMP_QUERY: Final = "application/timestamp-query"
MEDIA_STAMP_REPLY: Final = "application/timestamp-reply"

NO_BODY: Final = 4_096
"""Bytes of body that an endpoint without a body reads and drops, so that the connection can go on."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a path or of the query. `pattern` is an anchored regular expression over the decoded text."""

    name: str
    pattern: str
    description: str
    example: str
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True)
class Body:
    """A body of one media type: `schema` is its msgspec type, or None for bytes that the handler reads itself."""

    media_type: str
    schema: type | None = None
    description: str = ""


def json_of(schema: type) -> tuple[Body, ...]:
    """A body that is JSON and nothing else."""
    return (Body(MEDIA_JSON, schema),)


def json_limit(limits: LimitSettings) -> int:
    """The largest body of an ordinary request."""
    return limits.json_request


def small_limit(limits: LimitSettings) -> int:
    """Of one that asks about a digest or a certificate."""
    return max(limits.stamp_request, 4_096)


@dataclass(frozen=True)
class Answer:
    """An answer of one status."""

    status: int
    description: str
    bodies: tuple[Body, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """See the module. Every text is for the reader of the reference."""

    method: str
    path: str
    """Template: {name} stands for one of `parameters`."""
    listeners: frozenset[ListenerName]
    handler: Handler
    summary: str
    description: str = ""
    work: Work
    """What it does; with the box's state this decides whether it answers (appliance.box.states)."""
    needs_caller: bool = True
    """Whether a caller on `applications` must be known."""
    parameters: tuple[Parameter, ...] = ()
    query: tuple[Parameter, ...] = ()
    takes: tuple[Body, ...] = ()
    limit: Callable[[LimitSettings], int] = lambda _: NO_BODY
    """Largest body in bytes."""
    answers: tuple[Answer, ...]
    errors: tuple[type[CinnabarError], ...] = ()
    """Errors of its own; docs list them together with those that every endpoint can meet."""
    reads_body: bool = True
    """False: the body is others' to decode, by the schema of `takes`; the handler finds it in Request.pieces and hands
    it to document workers (appliance.documents)."""
    idempotent: bool = False
    """Whether it takes an Idempotency-Key."""
    for_partners: bool = False
    """Whether a partner's application may call it too: what partners read and do goes through the message gateway."""

    @property
    def name(self) -> str:
        """A name for OpenAPI's operationId."""
        return self.handler.__name__
