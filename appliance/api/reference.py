"""docs/api.md, made from the endpoint table: `python -m appliance.api.reference docs/api.md`.

The guide at the top of the page is written by hand and kept; what follows the marker is made anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.api.endpoints import LISTENERS, Endpoint
from appliance.api.openapi import errors_of
from appliance.api.table import ENDPOINTS
from appliance.box.settings import LimitSettings
from appliance.box.states import STATES
from appliance.errors import CinnabarError

MARKER = "<!-- What follows is made by `python -m appliance.api.reference docs/api.md`. -->\n"


def reference() -> str:
    """The generated part of the page, Markdown."""
    limits = LimitSettings()
    parts = ["## Endpoints\n", _overview(limits)]
    parts += [_endpoint(endpoint) for endpoint in ENDPOINTS]
    parts += ["## Problems\n", _problems()]
    return "\n".join(parts)


def _overview(limits: LimitSettings) -> str:
    rows = ["| Endpoint | Listeners | Body up to | Answers in the states |", "|---|---|---|---|"]
    for endpoint in ENDPOINTS:
        states = [state.label for state, rule in STATES.items() if endpoint.work in rule.allowed]
        shown = "all" if len(states) == len(STATES) else ", ".join(states)
        listeners = ", ".join(name for name in LISTENERS if name in endpoint.listeners)
        size = f"{endpoint.limit(limits):,}" if endpoint.takes else "none"
        rows.append(f"| `{endpoint.method} {endpoint.path}` | {listeners} | {size} | {shown} |")
    return "\n".join(rows) + "\n"


def _endpoint(endpoint: Endpoint) -> str:
    lines = [f"### {endpoint.method} {endpoint.path}\n", f"{endpoint.summary}. {endpoint.description}".strip() + "\n"]
    for parameter in (*endpoint.parameters, *endpoint.query):
        where = "path" if parameter in endpoint.parameters else "query"
        lines.append(f"- `{parameter.name}` ({where}): {parameter.description}")
    for body in endpoint.takes:
        kind = f"`{body.schema.__name__}`" if body.schema is not None else body.description
        lines.append(f"- takes `{body.media_type}`: {kind}")
    for answer in endpoint.answers:
        shown = ", ".join(
            f"`{body.media_type}`" + (f" (`{body.schema.__name__}`)" if body.schema is not None else "")
            for body in answer.bodies
        )
        lines.append(f"- answers {answer.status}: {answer.description} {shown}")
    if endpoint.idempotent:
        lines.append("- takes an `Idempotency-Key`")
    lines.append("- problems: " + ", ".join(f"`{error.code}`" for error in errors_of(endpoint)))
    return "\n".join(lines) + "\n"


def _problems() -> str:
    known: dict[str, type[CinnabarError]] = {}
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
