"""The witness's numbers in the Prometheus text format, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from appliance.witness.service import Witness

_STATES = ("fork", "state-lost")


class _WitnessCollector(Collector):
    def __init__(self, witness: Witness, answers: dict[tuple[str, int], int], connections: int) -> None:
        self._witness = witness
        self._answers = answers
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        witness = self._witness
        size = GaugeMetricFamily("cinnabar_witness_size", "Entries of the head cosigned last.", labels=["origin"])
        at = GaugeMetricFamily("cinnabar_witness_time_seconds", "When it was cosigned.", labels=["origin"])
        cosigned = CounterMetricFamily("cinnabar_witness_cosigned", "Heads cosigned.", labels=["origin"])
        refusals = CounterMetricFamily("cinnabar_witness_refused", "Requests refused.", labels=["origin", "reason"])
        refusing = GaugeMetricFamily(
            "cinnabar_witness_refusing", "1 while a person must decide about the log.", labels=["origin", "cause"]
        )
        for origin, tracked in witness.logs.items():
            if tracked.head is not None:
                size.add_metric([origin], tracked.head.size)
                at.add_metric([origin], tracked.head.time)
            cosigned.add_metric([origin], tracked.cosigned)
            for reason, count in tracked.refusals.items():
                refusals.add_metric([origin, reason], count)
            for cause in _STATES:
                refusing.add_metric([origin, cause], tracked.refused is not None and tracked.refused[0] == cause)
        yield from (size, at, cosigned, refusals, refusing)
        answers = CounterMetricFamily("cinnabar_witness_answers", "Answers.", labels=["listener", "status"])
        for (listener, status), count in self._answers.items():
            answers.add_metric([listener, str(status)], count)
        yield answers
        unknown = CounterMetricFamily("cinnabar_witness_unknown", "Requests of no known log, or that are none.")
        unknown.add_metric([], witness.unknown)
        yield unknown
        transactions = CounterMetricFamily("cinnabar_witness_transactions", "Transactions of the state.")
        transactions.add_metric([], witness.commits.transactions)
        yield transactions
        failing = GaugeMetricFamily("cinnabar_witness_state_failing", "Whether the state cannot be written.")
        failing.add_metric([], witness.commits.failing)
        yield failing
        connections = GaugeMetricFamily("cinnabar_witness_connections", "Open connections.")
        connections.add_metric([], self._connections)
        yield connections


def metrics(witness: Witness, answers: dict[tuple[str, int], int], connections: int) -> bytes:
    """`answers`: by listener and status."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_WitnessCollector(witness, answers, connections))
    return generate_latest(registry)
