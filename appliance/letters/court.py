"""The parts of a court package (K16): what a court reads beside a letter's evidence. Pure.

Each part is canonical JSON (RFC 8785), and a page in both languages certifies what the package holds. The parts repeat
what the sealed events and their records say, and add what the box says of itself: its clock, keys and software.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from appliance.instants import local_day, local_time
from appliance.letters.event import Event
from appliance.letters.kind import Kind
from appliance.pdf import Column, LetterPage, Pair, Row, Section, Table
from appliance.record import Record

STEPS, APPROVALS, CLOCK, KEYS, SOFTWARE, CERTIFICATE = (
    "steps.json", "approvals.json", "clock.json", "keys.json", "software.json", "certificate.pdf"
)  # fmt: skip
_NAMED: Final = ("actor", "signer", "step", "address", "device", "consent")
"""Members of an event's data that kinds use for who acted, from where, with what, and whose consent was given."""
_WIDEST: Final = 64


@dataclass(frozen=True)
class Happened:
    """An event and the record that its seal left."""

    event: Event
    record: Record


def steps(course: Sequence[Happened], kind: Kind) -> bytes:
    """Who did what, when, from which address and device, with whose consent: an entry for each event, in order."""
    return rfc8785.dumps([_step(one, kind) for one in course])


def _step(one: Happened, kind: Kind) -> dict[str, Any]:
    event = one.event
    rule = kind.events.get(event.event)
    return {
        "number": event.number,
        "letter": event.letter,
        "event": event.event,
        "title": {} if rule is None else {"en": rule.title.en, "zh": rule.title.zh},
        "at": event.at,
        "application": event.actor.application,
        "tenant": event.actor.tenant,
        "box": event.actor.box,
        "said": {name: event.data[name] for name in _NAMED if name in event.data},
        "data": event.data,
        "approvers": [approval.approver for approval in event.approvals],
        "sha256": event.digest(),
        "key": one.record.key,
        "sealed_us": one.record.time,
    }


def approvals(course: Sequence[Happened], policies: Sequence[Mapping[str, Any]]) -> bytes:
    """Every approval with the SHA-256 of what was approved, and the policies as they are in force now."""
    given = [
        {
            "number": one.event.number,
            "event": one.event.event,
            "approver": approval.approver,
            "step": approval.step,
            "policy": approval.policy,
            "limits": approval.limits,
            "form": approval.form,
            "signature": approval.signature,
            "approved": hashlib.sha256(one.event.approval_text(approval)).hexdigest(),
        }
        for one in course
        for approval in one.event.approvals
    ]
    return rfc8785.dumps({"approvals": given, "policies": list(policies)})


def certificate_page(
    course: Sequence[Happened], kind: Kind, parts: Mapping[str, bytes], *, organisation: str, made: str, box: str,
    rehearsal: bool,
) -> LetterPage:  # fmt: skip
    """The page that certifies the package, its times on the clocks of the kind's zone. `made`: when, RFC 3339. `parts`:
    those beside it."""
    newest = course[-1].event
    facts = [
        Row(Pair("函件编号", "Letter"), newest.letter),
        Row(Pair("种类", "Kind"), Pair(kind.title.zh, kind.title.en)),
        Row(Pair("事件数", "Events"), str(newest.number)),
        Row(Pair("最新事件摘要", "Newest event"), newest.digest()),
        Row(Pair("出具时间", "Made"), local_time(made, kind.zone)),
        Row(Pair("出具设备", "Box"), box),
    ]
    told = [
        [str(one.event.number), _title(one.event, kind), local_time(one.event.at, kind.zone), _who(one.event)]
        for one in course
    ]
    digests = [[name, hashlib.sha256(content).hexdigest()] for name, content in sorted(parts.items())]
    return LetterPage(
        title=Pair("存证证明", "Certificate of Evidence"),
        issuer=Pair(organisation, organisation),
        number=newest.letter,
        date=local_day(made, kind.zone),
        kind=f"{kind.id} {kind.version}",
        digest=newest.digest(),
        statement=[
            Pair(
                "兹证明：本证据包所载函件的每一事件均经签章、加盖时间戳并记入日志；下列各部分由设备在出具时生成，并与最新事件一同签章。"
                "可使用 cinnabar verify 离线核验。",
                "This certifies that every event of the letter in this package was sealed, time-stamped and entered in "
                "a log, and that the parts listed below were made by the box when the package was, and sealed together "
                "with the newest event. `cinnabar verify` checks it offline.",
            )
        ],
        sections=[Section(rows=facts)],
        tables=[
            Table(
                columns=[
                    Column(Pair("序号", "No."), 0.5), Column(Pair("事件", "Event"), 2.0),
                    Column(Pair("时间", "Time"), 2.0), Column(Pair("操作方与设备", "By whom, from where"), 2.5),
                ],
                rows=told,
                title=Pair("过程", "Course"),
            ),
            Table(
                columns=[Column(Pair("部分", "Part"), 1.0), Column(Pair("SHA-256", "SHA-256"), 4.0)],
                rows=digests,
                title=Pair("证据包各部分", "Parts of the package"),
            ),
        ],
        rehearsal=rehearsal,
    )  # fmt: skip


def _title(event: Event, kind: Kind) -> str:
    rule = kind.events.get(event.event)
    return event.event if rule is None else f"{rule.title.zh} {rule.title.en}"


def _who(event: Event) -> str:
    said = [str(event.data[name]) for name in ("actor", "signer", "device", "address") if name in event.data]
    return " · ".join([event.actor.application, *(one[:_WIDEST] for one in said)])
