"""How the box is, on one page: state and why, clock, HSM, throughput, queue, logs, certificates, what waits.

A tenant's people see the box's state and what is their tenant's; the box's own people see the whole (control CHANNEL).
"""

from __future__ import annotations

import time

import msgspec

from appliance.ceremonies import BOX
from appliance.errors import Unavailable
from mgmt_service.access import Access, Area
from mgmt_service.dispatch import Context
from mgmt_service.roles import APPROVERS, EVERYONE, GUESTS, OFFICERS
from mgmt_service.vitals import Sample

area = Area("overview")


class Cause(msgspec.Struct, frozen=True):
    label: str
    detail: str


class KeyLine(msgspec.Struct, frozen=True):
    name: str
    usable: bool
    days_left: int
    weaknesses: list[str]


class LogLine(msgspec.Struct, frozen=True):
    origin: str
    tenant: str | None
    age_seconds: float | None
    """Of the newest checkpoint; None where the workers do not tell."""
    published: bool


class Charts(msgspec.Struct, frozen=True):
    """Columns of the last half hour, one value a sample."""

    at: list[int]
    signatures: list[float]
    requests: list[float]
    in_flight: list[float]
    waiting: list[float]


class Traffic(msgspec.Struct, frozen=True):
    """Of the whole box, for its own people."""

    signatures_a_second: float
    requests_a_second: float
    in_flight: int
    waiting: int
    signatures: int
    drops: int
    """Signatures that nobody got; without self-tests, which nobody is to get."""
    self_tests: int
    workers: int
    silent_workers: int
    charts: Charts


class Disk(msgspec.Struct, frozen=True):
    free_bytes: int
    warn_bytes: int
    refuse_bytes: int


class Waiting(msgspec.Struct, frozen=True):
    """A ceremony that waits for somebody."""

    digest: str
    title: str
    state: str
    requester: str
    scopes: list[str]
    missing: int
    """Approvals that are still needed."""
    mine: bool
    """Whether it waits for the viewer's own word."""
    expires: str


class Overview(msgspec.Struct, frozen=True):
    state: str
    causes: list[Cause]
    weaknesses: list[Cause]
    since: int
    now: int
    clock: str
    hsm: str
    recorder: str
    keys: list[KeyLine]
    certificates: list[KeyLine]
    """Of authorities and the front."""
    logs: list[LogLine]
    traffic: Traffic | None
    disk: Disk | None
    waiting: list[Waiting]
    founded: bool
    keymaster: str
    approver: bool
    """Whether letters may wait for the viewer's approval."""
    box_view: bool
    """Whether the viewer sees the whole box."""
    sampled: int
    version: str
    """Changes when more than numbers do."""


@area.read("/", access=Access(roles=EVERYONE | GUESTS), gives=Overview, template="overview.html")
def overview(context: Context) -> Overview:
    """The box's state, clock, HSM, traffic, logs, certificates, and the ceremonies that wait."""
    return _overview(context)


@area.read("/live/overview", access=Access(roles=EVERYONE | GUESTS, touches=False), gives=Overview, page=False)
def live(context: Context) -> Overview:
    """The overview, for pages that ask by themselves; it keeps no session alive."""
    return _overview(context)


def _overview(context: Context) -> Overview:
    services, viewer = context.services, context.viewer
    sample = services.sampler.now()
    whole = viewer.has(EVERYONE, BOX)
    settings, report = services.settings(), context.state
    mine = {unit.name for unit in settings.units if unit.tenant in viewer.tenants}
    mine |= {key.name for key in settings.seal_keys if key.tenant in viewer.tenants}
    keys = [
        KeyLine(key["name"], key["usable"], key["certificate_days_left"], key.get("weaknesses", []))
        for key in sample.health.get("keys") or []
        if key["name"] in mine or whole
    ]
    waiting, keymaster = _waiting(context)
    ages = sample.once("cinnabar_checkpoint_age_seconds", "log")
    return Overview(
        state=report.state,
        causes=[Cause(label, detail) for label, detail in report.causes.items()],
        weaknesses=[Cause(label, detail) for label, detail in report.weaknesses.items()] if whole else [],
        since=report.since,
        now=int(time.time()),
        clock=str(sample.health.get("clock") or "unknown"),
        hsm=_hsm(sample, keys),
        recorder=str(sample.health.get("recorder") or "unknown"),
        keys=sorted(keys, key=lambda key: (key.days_left, key.name)),
        certificates=_certificates(sample) if whole else [],
        logs=[
            LogLine(log.origin, log.tenant, ages.get(log.origin), log.published or log.tenant is None)
            for log in settings.logs
            if (whole and log.tenant is None) or log.tenant in viewer.tenants
        ],
        traffic=_traffic(context, sample) if whole else None,
        disk=_disk(sample) if whole else None,
        waiting=waiting,
        founded=context.constitution is not None,
        keymaster=keymaster,
        approver=bool(viewer.scopes(APPROVERS)),
        box_view=whole,
        sampled=int(sample.at),
        version="|".join(
            [report.state, *report.causes, keymaster, *(f"{one.digest[:16]} {one.state} {one.mine}" for one in waiting)]
        ),
    )


def _hsm(sample: Sample, keys: list[KeyLine]) -> str:
    if not sample.health:
        return "unknown"
    return "working" if all(key.usable for key in keys) else "failing"


def _certificates(sample: Sample) -> list[KeyLine]:
    found = sample.once("cinnabar_box_certificate_days_left", "certificate")
    return [KeyLine(name, True, int(days), []) for name, days in sorted(found.items(), key=lambda one: one[1])]


def _traffic(context: Context, sample: Sample) -> Traffic:
    points = context.services.sampler.points()
    last = points[-1] if points else None
    self_tests = int(sample.total("cinnabar_signatures_dropped_total", reason="self-test"))
    return Traffic(
        signatures_a_second=last.signatures if last else 0.0,
        requests_a_second=last.requests if last else 0.0,
        in_flight=int(sample.total("cinnabar_requests_in_flight")),
        waiting=int(next(iter(sample.once("cinnabar_recorder_waiting", "").values()), 0)),
        signatures=int(sample.total("cinnabar_signatures_total")),
        drops=int(sample.total("cinnabar_signatures_dropped_total")) - self_tests,
        self_tests=self_tests,
        workers=len(sample.workers) + sample.silent,
        silent_workers=sample.silent,
        charts=Charts(
            at=[point.at for point in points],
            signatures=[point.signatures for point in points],
            requests=[point.requests for point in points],
            in_flight=[point.in_flight for point in points],
            waiting=[point.waiting for point in points],
        ),
    )


def _disk(sample: Sample) -> Disk | None:
    free = sample.once("cinnabar_disk_free_bytes", "")
    marks = sample.once("cinnabar_disk_watermark_bytes", "watermark")
    if not free or not marks:
        return None
    return Disk(int(next(iter(free.values()))), int(marks.get("warn", 0)), int(marks.get("refuse", 0)))


def _waiting(context: Context) -> tuple[list[Waiting], str]:
    scopes = sorted(context.viewer.scopes())
    try:
        found = context.services.desk.call(lambda client: client.proposals(scopes))
    except Unavailable:
        return [], "silent"
    return [waiting_of(one, context) for one in found if one["state"] in {"open", "approved", "executing"}], "working"


def waiting_of(summary: dict[str, object], context: Context) -> Waiting:
    tally = summary["tally"] if isinstance(summary["tally"], dict) else {"scopes": [], "must_accept": []}
    person = context.viewer.person
    missing = sum(max(0, part["threshold"] - len(part["approved"])) for part in tally["scopes"])
    may = any(person in part["may_still"] and len(part["approved"]) < part["threshold"] for part in tally["scopes"])
    unsigned = tally.get("outcome") == "unsigned"
    mine = (unsigned and summary["requester"] == person) or (
        not unsigned and (may or person in tally["must_accept"]) and summary["state"] == "open"
    )
    if summary["state"] == "approved":
        mine = bool(context.viewer.scopes(OFFICERS))
    return Waiting(
        digest=str(summary["digest"]),
        title=str(summary["title"]),
        state="unsigned" if unsigned else str(summary["state"]),
        requester=str(summary["requester"]),
        scopes=list(summary["scopes"]),  # type: ignore[call-overload]
        missing=missing,
        mine=bool(mine),
        expires=str(summary["expires"]),
    )
