"""The calls of intake runs, as appliance.client.calls has the others: what is sent, how the answer is read. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from appliance.api.intakes import schemas
from appliance.client.calls import Call, json_answer, post, raw_answer

PART_BYTES = 4 * 1024 * 1024
"""Of a file, in one request."""


class ResultPart(NamedTuple):
    """A part of a result."""

    content: bytes
    next: int | None
    """Ask again with it as `after`; None: it was the last part."""


def begin_intake(
    kind: str,
    form: Literal["csv", "xlsx", "ndjson"],
    size: int,
    sha256: str,
    *,
    event: str | None = None,
    encoding: Literal["utf-8", "gb18030"] = "utf-8",
    delimiter: Literal[",", ";", "\t", "|"] = ",",
    sheet: str | None = None,
    mapping: Mapping[str, str | None] | None = None,
    constants: Mapping[str, Any] | None = None,
    batch: str | None = None,
    row_key: Sequence[str] = (),
    check: bool = False,
    seal_key: str | None = None,
    unit: str | None = None,
    idempotency_key: str | None = None,
) -> Call[schemas.Intake]:
    """Begin the intake of a file of rows, of `size` bytes and this SHA-256 in hexadecimal; its parts follow."""
    asked = schemas.IntakeRequest(
        kind=kind, event=event, format=form, size=size, sha256=sha256, encoding=encoding, delimiter=delimiter,
        sheet=sheet, mapping=dict(mapping or {}), constants=dict(constants or {}), batch=batch, row_key=list(row_key),
        check=check, key=seal_key, unit=unit,
    )  # fmt: skip
    return post("/v1/intakes", asked, schemas.Intake, idempotency_key)


def send_intake_part(intake_id: str, start: int, content: bytes) -> Call[schemas.Intake]:
    """Send a part of the file, which has `start` bytes before it. The same part again changes nothing."""
    headers = {"Content-Type": "application/octet-stream"}
    query = {"from": str(start)}
    return Call("PUT", f"{_path(intake_id)}/file", json_answer(schemas.Intake), content, headers, query)


def intake(intake_id: str) -> Call[schemas.Intake]:
    """An intake run as it stands."""
    return Call("GET", _path(intake_id), json_answer(schemas.Intake))


def intakes(*, after: str | None = None) -> Call[schemas.IntakePage]:
    """A page of the tenant's runs, the newest first. `after`: the page before's `next`."""
    query = {} if after is None else {"after": after}
    return Call("GET", "/v1/intakes", json_answer(schemas.IntakePage), query=query)


def intake_verdicts(
    intake_id: str, *, after: int = 0, only: schemas.Verdict | None = None
) -> Call[schemas.RowVerdicts]:
    """A page of verdicts on a run's rows. `after`: the page before's `next`; `only`: one kind of them."""
    query = {"after": str(after)} | ({} if only is None else {"only": only})
    return Call("GET", f"{_path(intake_id)}/verdicts", json_answer(schemas.RowVerdicts), query=query)


def intake_result(intake_id: str, *, form: Literal["ndjson", "csv"] = "ndjson", after: int = 0) -> Call[ResultPart]:
    """A part of a run's verdicts as a file."""

    def read(headers: Mapping[str, str], body: bytes) -> ResultPart:
        following = headers.get("cinnabar-next", "")
        return ResultPart(raw_answer(headers, body), int(following) if following.isdecimal() else None)

    accepted = {"Accept": "text/csv" if form == "csv" else "application/x-ndjson"}
    return Call("GET", f"{_path(intake_id)}/result", read, headers=accepted, query={"after": str(after)})


def stop_intake(intake_id: str) -> Call[schemas.Intake]:
    """Stop a run; what is decided stays."""
    return Call("POST", f"{_path(intake_id)}/stop", json_answer(schemas.Intake))


def resume_intake(intake_id: str) -> Call[schemas.Intake]:
    """Have a stopped run go on."""
    return Call("POST", f"{_path(intake_id)}/resume", json_answer(schemas.Intake))


def _path(intake_id: str) -> str:
    return f"/v1/intakes/{quote(intake_id, safe='')}"
