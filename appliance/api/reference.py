"""docs/api.md, made from the endpoint table: `python -m appliance.api.reference docs/api.md`.

The guide at the top of the page is written by hand and kept; what follows the marker is made anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.api.endpoints import SOCKETS, Endpoint
from appliance.api.members import link, member_tables
from appliance.api.openapi import ANY_REQUEST, errors_of
from appliance.api.table import ENDPOINTS
from appliance.box.settings import LimitSettings
from appliance.box.states import STATES
from appliance.errors import CinnabarError
from appliance.evidence import Report

MARKER = "<!-- What follows is made by `python -m appliance.api.reference docs/api.md`. -->\n"

_MEMBERS = """The members of the JSON bodies. A request with another member is refused; an answer may get further ones.
"absent" stands for a member that is not there at all. `Report` is what `cinnabar verify` makes, see
[verify.md](verify.md).
"""
_PROBLEMS = """Beside what an endpoint lists, any request may meet `method-not-allowed` (the path is there, the method
is not; `Allow` says which are), `not-found` (no endpoint of this listener has the path), `address-too-long`,
`unsupported-http-version` and `too-many-requests` (of one address, or one IPv6 /64, by the front; where people look it
is a page). On `applications` an unknown certificate is answered before all else, also on `/health`.
"""


def reference() -> str:
    """The generated part of the page, Markdown."""
    limits = LimitSettings()
    parts = ["## Endpoints\n", _overview(limits)]
    parts += [_endpoint(endpoint) for endpoint in ENDPOINTS]
    parts += ["## Members\n", _MEMBERS, member_tables(_bodies())]
    parts += ["## Problems\n", _PROBLEMS, _problems()]
    return "\n".join(parts)


def _overview(limits: LimitSettings) -> str:
    rows = ["| Endpoint | Listeners | Body up to | Answers in the states |", "|---|---|---|---|"]
    for endpoint in ENDPOINTS:
        states = [state.label for state, rule in STATES.items() if endpoint.work in rule.allowed]
        shown = "all" if len(states) == len(STATES) else ", ".join(states)
        listeners = ", ".join(name for name in SOCKETS if name in endpoint.listeners)
        size = f"{endpoint.limit(limits):,}" if endpoint.takes else "none"
        rows.append(f"| `{endpoint.method} {endpoint.path}` | {listeners} | {size} | {shown} |")
    return "\n".join(rows) + "\n"


def _endpoint(endpoint: Endpoint) -> str:
    lines = [f"### {endpoint.method} {endpoint.path}\n", f"{endpoint.summary}. {endpoint.description}".strip() + "\n"]
    for parameter in (*endpoint.parameters, *endpoint.query):
        where = "path" if parameter in endpoint.parameters else "query"
        lines.append(f"- `{parameter.name}` ({where}): {parameter.description}")
    for body in endpoint.takes:
        kind = _schema(body.schema) if body.schema is not None else body.description
        lines.append(f"- takes `{body.media_type}`: {kind}")
    for answer in endpoint.answers:
        shown = ", ".join(
            f"`{body.media_type}`" + (f" ({_schema(body.schema)})" if body.schema is not None else "")
            for body in answer.bodies
        )
        lines.append(f"- answers {answer.status}: {answer.description} {shown}")
    if endpoint.idempotent:
        lines.append("- takes an `Idempotency-Key`")
    lines.append("- problems: " + ", ".join(f"`{error.code}`" for error in errors_of(endpoint)))
    return "\n".join(lines) + "\n"


def _schema(schema: type) -> str:
    return f"`{schema.__name__}`" if schema is Report else link(schema)


def _bodies() -> list[type]:
    """What is sent, then what is answered."""
    asked = [body.schema for endpoint in ENDPOINTS for body in endpoint.takes]
    answered = [body.schema for endpoint in ENDPOINTS for answer in endpoint.answers for body in answer.bodies]
    return [schema for schema in dict.fromkeys(asked + answered) if schema is not None and schema is not Report]


def _problems() -> str:
    known: dict[str, type[CinnabarError]] = {error.code: error for error in ANY_REQUEST}
    for endpoint in ENDPOINTS:
        for error in errors_of(endpoint):
            known.setdefault(error.code, error)
    rows = ["| Code | Status | Retriable | Control | Title |", "|---|---|---|---|---|"]
    for error in sorted(known.values(), key=lambda error: (error.status, error.code)):
        retriable = "yes" if error.retriable else "no"
        rows.append(f"| `{error.code}` | {error.status} | {retriable} | {error.control or ''} | {error.title} |")
    return "\n".join(rows) + "\n"


def main(path: Path) -> None:
    """Renew the generated part of the page at `path`."""
    guide, _, _ = path.read_text().partition(MARKER)
    path.write_text(guide + MARKER + "\n" + reference())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
