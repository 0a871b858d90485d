"""Runs and verdicts, from what the recorder keeps of them to what applications see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.intakes.schemas import Intake, IntakeRequest, RowVerdict, Verdict
from appliance.calls.problems import Problem, problem_of
from appliance.instants import rfc3339
from appliance.intake import IntakeRefused
from appliance.recorder.errors import from_code

if TYPE_CHECKING:
    from appliance.api.bodies import BodyCipher
    from appliance.errors import CinnabarError

STATUSES: Final[tuple[Verdict, ...]] = ("accepted", "duplicate", "refused")
REFUSED: Final = 2

_pack = msgspec.msgpack.Encoder().encode


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a run's request, encrypted by its tenant."""

    certificate: bytes
    asked: IntakeRequest


Told = dict[int, tuple[str, str]]
"""(column, text) of refused rows, by their place in a page."""

_unpack_kept = msgspec.msgpack.Decoder(Kept).decode
_unpack_told = msgspec.msgpack.Decoder(Told).decode
_unpack_verdicts = msgspec.msgpack.Decoder(list[tuple[int, int, bytes, str, str]]).decode
_decode_problem = msgspec.json.Decoder(Problem).decode
_encode = msgspec.json.Encoder().encode


def close_request(cipher: BodyCipher, intake: bytes, kept: Kept) -> bytes:
    """A run's request as the recorder keeps it."""
    return cipher.close_bytes(b"intake|" + intake, _pack(kept))


def open_request(cipher: BodyCipher, intake: bytes, request: bytes) -> Kept:
    """Raises BodyDamaged."""
    return _unpack_kept(cipher.open_bytes(b"intake|" + intake, request))


def close_fault(cipher: BodyCipher, intake: bytes, error: CinnabarError) -> bytes:
    """Why a run failed or was stopped, as the recorder keeps it."""
    return cipher.close_bytes(b"intake fault|" + intake, _encode(problem_of(error)))


def close_told(cipher: BodyCipher, intake: bytes, start: int, told: Told) -> bytes:
    """What is said of the refused rows of the page that begins at `start`, as the recorder keeps it."""
    return cipher.close_bytes(b"intake page|%s|%d" % (intake, start), _pack(told)) if told else b""


def shown(cipher: BodyCipher, run: Mapping[str, Any]) -> Intake:
    """A run as its tenant's applications see it. `run`: as the recorder's query `intake` has it."""
    fault = run["fault"]
    said = _decode_problem(cipher.open_bytes(b"intake fault|" + run["intake"], fault)) if fault else None
    if said is None and run["state"] == "failed":
        said = problem_of(IntakeRefused("it was left unfinished for too long, and its file is gone"))
    return Intake(
        intake=run["intake"].hex(), kind=run["kind"], event=run["event"], application=run["application"],
        check=run["checks"], state=run["state"], size=run["size"], received=run["received"],
        rows=run["rows"] if run["state"] in ("running", "done") or run["rows"] else None, decided=run["decided"],
        accepted=run["accepted"], duplicate=run["duplicate"], refused=run["refused"], created=rfc3339(run["created"]),
        changed=rfc3339(run["changed"]), finished=None if run["finished"] is None else rfc3339(run["finished"]),
        fault=said,
    )  # fmt: skip


def verdicts_of(cipher: BodyCipher, intake: bytes, page: Mapping[str, Any], after: int) -> list[tuple[int, RowVerdict]]:
    """(how many rows are decided with it, verdict) of a page's rows, from the row `after` of the run on."""
    start, told = page["start"], page["told"]
    said = _unpack_told(cipher.open_bytes(b"intake page|%s|%d" % (intake, start), told)) if told else {}
    found = []
    for at, (number, status, letter, code, detail) in enumerate(_unpack_verdicts(page["verdicts"])):
        if start + at < after:
            continue
        column, text = said.get(at, ("", "")) if status == REFUSED else ("", "")
        if status == REFUSED and not text:
            text = detail or from_code(code, "").title
        found.append(
            (
                start + at + 1,
                RowVerdict(
                    row=number, verdict=STATUSES[status], letter=letter.hex() if letter.strip(b"\0") else None,
                    code=code or None, column=column or None, text=text or None,
                ),
            )
        )  # fmt: skip
    return found
