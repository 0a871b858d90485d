"""What the API workers say of themselves on their metrics sockets, and its recent history for the charts."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from appliance.box.home import Home
from appliance.box.settings import BoxSettings

SAMPLE_SECONDS = 5.0
HISTORY = 360
"""Samples that are kept: half an hour."""
_TIMEOUT = 2.0
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Metrics:
    """One worker's exposition, read: (name, labels without `worker`) to value."""

    values: Mapping[tuple[str, Labels], float]

    def total(self, name: str, **labels: str) -> float:
        """Sum over the samples with these labels."""
        return sum(value for _, value in self.samples(name, **labels))

    def samples(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        for (known, pairs), value in self.values.items():
            held = dict(pairs)
            if known == name and labels.items() <= held.items():
                yield held, value


def read_exposition(text: str) -> Metrics:
    """Read Prometheus' text format as the box's workers write it. Lines of another form are passed over."""
    values: dict[tuple[str, Labels], float] = {}
    for line in text.splitlines():
        found = _LINE.match(line) if not line.startswith("#") else None
        if found is None:
            continue
        labels = tuple(sorted((k, v) for k, v in _LABEL.findall(found[2] or "") if k != "worker"))
        try:
            values[found[1], labels] = float(found[3])
        except ValueError:
            continue
    return Metrics(values)


@dataclass(frozen=True)
class Sample:
    """The whole box at one moment."""

    at: float
    """Seconds since the epoch."""
    workers: tuple[Metrics, ...]
    """Of those that answered."""
    health: dict[str, Any]
    """GET /health of the first that answered."""
    silent: int
    """Workers that did not answer."""

    def total(self, name: str, **labels: str) -> float:
        return sum(worker.total(name, **labels) for worker in self.workers)

    def once(self, name: str, label: str) -> dict[str, float]:
        """Of what every worker says of the whole box: the first one's word, by a label."""
        found: dict[str, float] = {}
        for worker in self.workers[:1]:
            for labels, value in worker.samples(name):
                found[labels.get(label, "")] = value
        return found


@dataclass(frozen=True)
class Point:
    """One point of the charts."""

    at: int
    signatures: float
    """A second."""
    requests: float
    """A second."""
    in_flight: float
    waiting: float
    """Commands before the recorder's transaction."""


class Sampler:
    """Asks the workers every few seconds in a thread of its own, and keeps half an hour of points."""

    def __init__(self, home: Home, settings: Callable[[], BoxSettings]) -> None:
        self._home = home
        self._settings = settings
        self._lock = threading.Lock()
        self._last: Sample | None = None
        self._points: deque[Point] = deque(maxlen=HISTORY)
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS if self._last else 0.1):
            self.sample()

    def now(self) -> Sample:
        """The newest sample; one is taken where there is none or it is too old."""
        last = self._last
        if last is None or time.time() - last.at > 2 * SAMPLE_SECONDS:
            return self.sample()
        return last

    def points(self) -> list[Point]:
        with self._lock:
            return list(self._points)

    def sample(self) -> Sample:
        workers: list[Metrics] = []
        health: dict[str, Any] = {}
        count = self._settings().workers
        for number in range(count):
            transport = httpx.HTTPTransport(uds=str(self._home.worker_socket(number, "metrics")))
            try:
                with httpx.Client(transport=transport, base_url="http://worker", timeout=_TIMEOUT) as client:
                    workers.append(read_exposition(client.get("/metrics").raise_for_status().text))
                    health = health or msgspec.json.decode(client.get("/health").content)
            except (httpx.HTTPError, msgspec.DecodeError):
                continue
        sample = Sample(time.time(), tuple(workers), health, count - len(workers))
        with self._lock:
            before, self._last = self._last, sample
            if before is not None and sample.at - before.at > 1:
                self._points.append(_point(before, sample))
        return sample


def _point(before: Sample, now: Sample) -> Point:
    seconds = now.at - before.at
    rates: dict[str, float] = defaultdict(float)
    for name in ("cinnabar_signatures_total", "cinnabar_requests_total"):
        rates[name] = max(0.0, now.total(name) - before.total(name)) / seconds
    return Point(
        at=int(now.at),
        signatures=round(rates["cinnabar_signatures_total"], 2),
        requests=round(rates["cinnabar_requests_total"], 2),
        in_flight=now.total("cinnabar_requests_in_flight"),
        waiting=next(iter(now.once("cinnabar_recorder_waiting", "").values()), 0.0),
    )
