"""GET /metrics: the worker's numbers in the Prometheus text format, for the box's own people only.

Numbers are read when they are asked for; requests pay for nothing but one addition. appliance.api.watch adds those
of the box as a whole. No label names a tenant's content,
and the metrics listener is no application's to reach (control CHANNEL).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from appliance.api.health import report
from appliance.api.messages import Request, Response
from appliance.api.quotas import Use, uses
from appliance.api.watch import Recorded, ask_recorder, families
from appliance.box.states import State

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class WorkerCollector(Collector):
    """Collects from a worker at the moment of the question."""

    def __init__(self, worker: Worker, recorded: Recorded, used: list[Use]) -> None:
        self._worker = worker
        self._used = used
        self._recorded = recorded

    def collect(self) -> Iterator[Metric]:
        worker, hub = self._worker, self._worker.hub
        label = str(worker.number)
        health = report(worker, None, everything=True)
        requests = CounterMetricFamily(
            "cinnabar_requests", "Answers by endpoint and status.", labels=["worker", "endpoint", "status"]
        )
        for (endpoint, status), count in hub.answers.items():
            requests.add_metric([label, endpoint, str(status)], count)
        yield requests
        yield _counter("cinnabar_signatures", "C_Sign calls of this run.", label, worker.counter.signed)
        drops = CounterMetricFamily(
            "cinnabar_signatures_dropped", "Signatures that never left the box.", labels=["worker", "reason"]
        )
        for reason, count in dict(worker.counter.drops).items():
            drops.add_metric([label, reason], count)
        yield drops
        yield _counter("cinnabar_strangers", "Connections refused for their user.", label, hub.strangers)
        yield _gauge("cinnabar_connections", "Open connections.", label, hub.connections)
        yield _gauge("cinnabar_requests_in_flight", "Requests being answered.", label, hub.in_flight)
        yield _gauge("cinnabar_request_bytes_held", "Bytes of request bodies in memory.", label, hub.held)
        yield _gauge("cinnabar_clock_shown", "Whether the clock is shown to be right.", label, health.clock == "shown")
        connected = health.recorder == "connected"
        yield _gauge("cinnabar_recorder_connected", "Whether the recorder answers.", label, connected)
        documents = worker.documents
        yield _gauge("cinnabar_documents_connected", "Whether the document workers answer.", label, documents.connected)
        yield _gauge("cinnabar_documents_waiting", "Documents that are not answered yet.", label, documents.in_flight)
        state = GaugeMetricFamily(
            "cinnabar_state", "The box's state: 1 for the one it is in.", labels=["worker", "state"]
        )
        for one in State:
            state.add_metric([label, one.label], one.label == health.state)
        yield state
        weakness = GaugeMetricFamily(
            "cinnabar_weakness", "What makes the box weaker than it could be.", labels=["worker", "weakness"]
        )
        for name in sorted({one.name for one in health.weaknesses or []}):
            weakness.add_metric([label, name], 1)
        yield weakness
        days = GaugeMetricFamily(
            "cinnabar_certificate_days_left",
            "Days until a unit's or seal key's certificate ends.",
            labels=["worker", "key"],
        )
        usable = GaugeMetricFamily("cinnabar_key_usable", "Whether a key can sign now.", labels=["worker", "key"])
        for key in health.keys or []:
            days.add_metric([label, key.name], key.certificate_days_left)
            usable.add_metric([label, key.name], key.usable)
        yield days
        yield usable
        tokens = GaugeMetricFamily(
            "cinnabar_token_open", "Whether a tenant's token is open.", labels=["worker", "token"]
        )
        for name in worker.tokens:
            tokens.add_metric([label, name], 1)
        for name in worker.awaited.tokens:
            tokens.add_metric([label, name], 0)
        yield tokens
        ratio = GaugeMetricFamily(
            "cinnabar_limit_used_ratio",
            "Used of a tenant's daily quota or of a key's signatures, 1 being all.",
            labels=["worker", "tenant", "limit"],
        )
        for use in self._used:
            ratio.add_metric([label, use.tenant, use.what], use.ratio)
        yield ratio
        yield from families(worker, self._recorded)
        yield _gauge("cinnabar_worker_time_seconds", "The worker's system clock.", label, time.time())


def _gauge(name: str, text: str, worker: str, value: float) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=["worker"])
    metric.add_metric([worker], value)
    return metric


def _counter(name: str, text: str, worker: str, value: float) -> Metric:
    metric = CounterMetricFamily(name, text, labels=["worker"])
    metric.add_metric([worker], value)
    return metric


async def metrics(worker: Worker, request: Request) -> Response:  # noqa: ARG001 - every handler has this form
    """GET /metrics"""
    # A handler is no task: it has no time-outs.
    recorded, used = await asyncio.ensure_future(asyncio.gather(ask_recorder(worker), uses(worker)))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCollector(worker, recorded, used))
    return Response(generate_latest(registry), _TEXT)
