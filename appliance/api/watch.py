"""What the metrics tell of the box as a whole: disk, records, logs, keymaster, certificates, CRLs.

For the box's own people on the metrics listener, which no application reaches: some of it grows with what tenants do
(control CHANNEL). What cannot be read is absent; an alarm on absence is an alarm like any other.
"""

from __future__ import annotations

import asyncio
import datetime
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from cryptography import x509
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from appliance.anchorer.word import read_anchorer_word
from appliance.box.users import has_witnesses
from appliance.cosigner.word import BEHIND_S, read_cosigner_word
from appliance.errors import CinnabarError
from appliance.evidence.bundle import BUNDLE, BundleDocument
from appliance.keymaster.word import read_word
from appliance.recorder.messages import BOX_LOG

if TYPE_CHECKING:
    from appliance.api.worker import Worker

ASK_SECONDS = 1.0
"""For the recorder's answer; the supervisor, which asks for these metrics, waits longer."""
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Recorded:
    """What the recorder says; empty where it does not answer in time."""

    status: dict[str, Any]
    watch: dict[str, Any]


async def ask_recorder(worker: Worker) -> Recorded:
    """Ask the recorder for what only it knows."""
    if not worker.recorder.connected:
        return Recorded({}, {})
    logs = [[log.origin, log.tenant or BOX_LOG] for log in worker.settings.logs]
    try:
        async with asyncio.timeout(ASK_SECONDS):
            answers = await asyncio.gather(worker.recorder.query("status"), worker.recorder.query("watch", logs))
    except (CinnabarError, TimeoutError):
        return Recorded({}, {})
    return Recorded(*answers)


def families(worker: Worker, recorded: Recorded) -> Iterator[Metric]:
    """The metrics, each with the label of the worker that was asked."""
    label = str(worker.number)

    def gauge(name: str, text: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["worker", *labels])
        for values, value in samples:
            family.add_metric([label, *values], value)
        return family

    yield from _disk(worker, gauge)
    yield from _records(recorded, gauge)
    yield from _logs(worker, recorded, gauge)
    yield from _witnesses(worker, gauge)
    yield from _ledgers(worker, gauge)
    yield from _keymaster(worker, label, gauge)
    yield gauge("cinnabar_box_certificate_days_left", "Of the CAs and the front.", _certificates(worker), "certificate")
    ends = worker.callers.ends()
    if ends is not None:
        left = (ends - time.time()) // DAY_SECONDS
        text = "Days until the first active application certificate ends."
        yield gauge("cinnabar_application_certificate_days_left", text, [((), left)])


_Gauge = Callable[..., Metric]


def _disk(worker: Worker, gauge: _Gauge) -> Iterator[Metric]:
    limits = worker.settings.limits
    marks = {"warn": limits.disk_warn_bytes, "refuse": limits.disk_refuse_bytes}
    free = shutil.disk_usage(worker.home.root).free
    yield gauge("cinnabar_disk_free_bytes", "Free on the home's disk.", [((), free)])
    samples = [((mark,), size) for mark, size in marks.items()]
    yield gauge("cinnabar_disk_watermark_bytes", "Free bytes below which the box acts.", samples, "watermark")


def _records(recorded: Recorded, gauge: _Gauge) -> Iterator[Metric]:
    status, watch = recorded.status, recorded.watch
    if status:
        yield gauge("cinnabar_recorder_waiting", "Commands that wait for a transaction.", [((), status["waiting"])])
        yield gauge("cinnabar_recorder_clients", "Connections to the recorder.", [((), status["clients"])])
        yield gauge("cinnabar_recorder_log_bytes", "Of the database's write-ahead log.", [((), status["log_bytes"])])
    if watch:
        samples = [((state,), watch["runs"].get(state, 0)) for state in ("open", "clean", "lost", "unbalanced")]
        yield gauge("cinnabar_runs", "Lives of signing processes by how they ended (RECORD).", samples, "state")
        yield gauge("cinnabar_jobs_unfinished", "Bulk jobs that are not finished.", [((), watch["jobs"])])
        yield gauge("cinnabar_job_items_unfinished", "Their items without a verdict.", [((), watch["job_items"])])
        noticed = dict(watch["letter_notices"])
        yield gauge("cinnabar_kinds_stopped", "Kinds of which nothing new is issued.", [((), noticed.pop("stopped"))])
        samples = [((what,), count) for what, count in noticed.items()]
        yield gauge("cinnabar_letter_notices", "Warnings and stops of letters' limits, over all time.", samples, "what")


def _logs(worker: Worker, recorded: Recorded, gauge: _Gauge) -> Iterator[Metric]:
    if not recorded.watch:
        return
    shown = {log.origin for log in worker.logs.values() if log.published}
    now_us = time.time_ns() // 1000
    ages: list[tuple[tuple[str, ...], float]] = []
    unsigned = 0
    for origin, size, signed, at in recorded.watch["logs"]:
        unsigned += max(0, size - signed)
        if at is not None and origin in shown:
            ages.append(((origin,), max(0, now_us - at) / 1_000_000))
    yield gauge("cinnabar_checkpoint_age_seconds", "Of the newest one, of each log that is published.", ages, "log")
    yield gauge("cinnabar_leaves_unsigned", "Of all logs, not under a signed checkpoint yet.", [((), unsigned)])


def _ledgers(worker: Worker, gauge: _Gauge) -> Iterator[Metric]:
    now = time.time()
    asked = bool(worker.settings.ledgers)
    word = read_anchorer_word(worker.home.anchorer_word, now) if asked else None
    text = "Whether the anchorer said within fifteen seconds how it is, where box.json lists ledgers."
    yield gauge("cinnabar_anchorer_answers", text, [((), word is not None)] if asked else [])
    ledgers = [] if word is None else [one for one in word.ledgers if one.configured]
    trouble = [((one.name,), bool(one.trouble)) for one in ledgers]
    yield gauge("cinnabar_ledger_in_trouble", "Whether the last step with a ledger failed.", trouble, "ledger")
    text = "Anchors of a ledger that are neither final nor superseded nor failed."
    yield gauge("cinnabar_ledger_open_anchors", text, [((one.name,), one.open) for one in ledgers], "ledger")
    text = "Seconds since an anchor of a ledger last became final."
    since = [((one.name,), now - one.final.since_us / 1_000_000) for one in ledgers if one.final is not None]
    yield gauge("cinnabar_ledger_final_age_seconds", text, since, "ledger")


def _witnesses(worker: Worker, gauge: _Gauge) -> Iterator[Metric]:
    now = time.time()
    asked = has_witnesses(worker.settings)
    word = read_cosigner_word(worker.home.cosigner_word, now) if asked else None
    text = "Whether the cosigner said within ten seconds how it is, where any log has witnesses."
    yield gauge("cinnabar_cosigner_answers", text, [((), word is not None)] if asked else [])
    logs = [] if word is None else word.logs
    shown = {log.origin for log in worker.logs.values() if log.published}
    behind = [((log.origin,), log.behind_s(now)) for log in logs if log.origin in shown]
    text = "How long a head of a published log has waited for its quorum of cosignatures."
    yield gauge("cinnabar_cosigning_behind_seconds", text, behind, "log")
    late = sum(log.behind_s(now) > BEHIND_S for log in logs)
    text = "Logs that have waited for their quorum for a minute or longer."
    yield gauge("cinnabar_logs_not_cosigned", text, [((), late)] if logs else [])
    cosigns: dict[str, bool] = {}
    doubts: dict[str, int] = {}
    for one in [one for log in logs for one in log.witnesses]:
        cosigns[one.name] = cosigns.get(one.name, True) and one.trouble is None
        doubts[one.name] = doubts.get(one.name, 0) + one.doubts
    samples = [((name,), float(well)) for name, well in cosigns.items()]
    yield gauge("cinnabar_witness_cosigns", "Whether a witness cosigns every log that names it.", samples, "witness")
    samples = [((name,), float(count)) for name, count in doubts.items()]
    text = "Logs of which a witness says that it has seen another history, or a larger head (FORK)."
    yield gauge("cinnabar_witness_doubts", text, samples, "witness")
    wrong = sum(log.problem is not None for log in logs)
    text = "Logs whose newest head does not extend the last cosigned one (FORK)."
    yield gauge("cinnabar_logs_not_as_cosigned", text, [((), wrong)] if logs else [])


def _keymaster(worker: Worker, label: str, gauge: _Gauge) -> Iterator[Metric]:
    word = read_word(worker.home.keymaster_word)
    if word is not None:
        failures = CounterMetricFamily("cinnabar_keymaster_failures", "Rounds that failed.", labels=["worker"])
        failures.add_metric([label], word.failures)
        yield failures
        text = "Tenants that are stopped because their token holds what nobody explains."
        yield gauge("cinnabar_tenants_unexplained", text, [((), word.unexplained_tenants)])
        if word.succeeded is not None:
            age = [((), max(0.0, time.time() - word.succeeded))]
            yield gauge("cinnabar_keymaster_success_age_seconds", "Since its last round that succeeded.", age)
    ages: list[tuple[tuple[str, ...], float]] = []
    left: list[tuple[tuple[str, ...], float]] = []
    for authority in worker.settings.authorities:
        times = _kept(worker.home.root / authority.crl, _crl_times)
        if times is not None:
            ages.append(((authority.name,), max(0.0, time.time() - times[0])))
            left.append(((authority.name,), times[1] - time.time()))
    yield gauge("cinnabar_crl_age_seconds", "Since the published CRL was made.", ages, "authority")
    yield gauge("cinnabar_crl_seconds_left", "Until the published CRL ends.", left, "authority")
    expires = _kept(worker.home.trust / BUNDLE, _bundle_end)
    if expires is not None:
        days = (expires - time.time()) // DAY_SECONDS
        yield gauge("cinnabar_trust_bundle_days_left", "Until the trust bundle expires.", [((), days)])


def _certificates(worker: Worker) -> Iterator[tuple[tuple[str], float]]:
    paths = {authority.name: worker.home.root / authority.certificate for authority in worker.settings.authorities}
    for name, path in (*paths.items(), ("front", worker.home.front / "server.crt")):
        end = _kept(path, _certificate_end)
        if end is not None:
            yield (name,), (end - time.time()) // DAY_SECONDS


# Files are read again only when they change: the metrics are asked for every two seconds.
_Read = TypeVar("_Read")
_memory: dict[Path, tuple[tuple[int, int], Any]] = {}


def _kept(path: Path, read: Callable[[bytes], _Read]) -> _Read | None:
    try:
        status = path.stat()
        state = (status.st_ino, status.st_mtime_ns)
        known = _memory.get(path)
        if known is None or known[0] != state:
            known = _memory[path] = (state, read(path.read_bytes()))
    except (OSError, ValueError):
        return None
    found: _Read = known[1]
    return found


def _certificate_end(encoded: bytes) -> float:
    return x509.load_pem_x509_certificates(encoded)[0].not_valid_after_utc.timestamp()


def _crl_times(encoded: bytes) -> tuple[float, float]:
    """(made, ends), seconds since the epoch."""
    crl = x509.load_der_x509_crl(encoded)
    end = crl.next_update_utc
    return crl.last_update_utc.timestamp(), float("inf") if end is None else end.timestamp()


def _bundle_end(encoded: bytes) -> float:
    document = msgspec.json.decode(encoded, type=BundleDocument)
    return datetime.datetime.fromisoformat(document.expires).timestamp()
