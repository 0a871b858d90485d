"""An error as it travels between processes, after RFC 9457, and the exception that it becomes again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.errors import CinnabarError

PROBLEM_TYPE_PREFIX: Final = "urn:cinnabar:problem:"


def problem(error: CinnabarError) -> dict[str, object]:
    """The problem document of an error: RFC 9457's members, `control` and `retriable`."""
    return {
        "type": PROBLEM_TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status,
        "detail": str(error) or error.title + ".",
        "control": error.control,
        "retriable": error.retriable,
    }


def error_of(problem: Mapping[str, Any]) -> CinnabarError:
    """The exception that a problem document stands for: of the class of that code that this process knows, or of one
    made for it. Whoever wants to catch an error by its class has imported it, so it is known."""
    code = str(problem.get("type", "")).removeprefix(PROBLEM_TYPE_PREFIX)
    known = _classes().get(code)
    if known is None:
        members = {name: problem.get(name) for name in ("title", "status", "control", "retriable")}
        known = type("RemoteProblem", (CinnabarError,), {"code": code, **members})
    return known(str(problem.get("detail", "")))


def _classes() -> dict[str, type[CinnabarError]]:
    found: dict[str, type[CinnabarError]] = {}
    waiting: list[type[CinnabarError]] = [CinnabarError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found
