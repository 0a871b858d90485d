"""An error as it travels, after RFC 9457 with two members of ours, and the exception that it becomes again.

The type is a URN of the error's code, so that it needs no host: urn:cinnabar:problem:CODE. docs/api.md lists them.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from appliance.errors import CinnabarError

PROBLEM_TYPE_PREFIX: Final = "urn:cinnabar:problem:"


class SealedRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """The box's own statement that it refused, and why."""

    record: str
    """Id of its record."""
    seal: bytes
    """CMS SignedData, DER, CAdES B-T, with the statement within: canonical JSON, cinnabar-refusal/1."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error (RFC 9457)."""

    type: str
    """urn:cinnabar:problem:CODE"""
    title: str
    status: int
    detail: str
    control: str | None = None
    """Id of the control that was upheld, see docs/assurance.md; null where none was."""
    retriable: bool = False
    """Whether the same request may succeed later; then Retry-After says when."""
    sealed: SealedRefusal | UnsetType = UNSET
    """Where a kind of letters wants its refusals sealed."""


def problem_of(error: CinnabarError) -> Problem:
    """The problem document of an error."""
    return Problem(
        type=PROBLEM_TYPE_PREFIX + error.code,
        title=error.title,
        status=error.status,
        detail=str(error) or error.title + ".",
        control=error.control,
        retriable=error.retriable,
        sealed=UNSET if error.sealed is None else SealedRefusal(record=error.sealed[0], seal=error.sealed[1]),
    )


def error_of(problem: Problem) -> CinnabarError:
    """The exception that a problem document stands for: of the class of that code that this process knows, or of one
    made for it. Whoever wants to catch an error by its class has imported it, so it is known."""
    code = problem.type.removeprefix(PROBLEM_TYPE_PREFIX)
    known = _classes().get(code)
    if known is None:
        members = {name: getattr(problem, name) for name in ("title", "status", "control", "retriable")}
        known = type("RemoteProblem", (CinnabarError,), {"code": code, **members})
    return known(problem.detail)


def _classes() -> dict[str, type[CinnabarError]]:
    found: dict[str, type[CinnabarError]] = {}
    waiting: list[type[CinnabarError]] = [CinnabarError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found
