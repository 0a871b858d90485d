"""One document worker: forked by the keeper, it takes one task, answers, and ends.

One task, because whatever a document does to the process that reads it must not reach the next one's document, which
may be another tenant's. A task that reads nothing of others' making may say that a worker goes on (Task.most): then
the keeper gives it that task alone, of one tenant.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import socket
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from appliance.calls.framing import LENGTH_BYTES, frame
from appliance.documents import isolation
from appliance.documents.errors import DocumentTooCostly, DocumentWorkerFailed
from appliance.documents.isolation import Limits
from appliance.documents.messages import DETAIL_CHARACTERS, Begin, Done, Refused
from appliance.documents.tasks import Ground, Task
from appliance.errors import CinnabarError

NICE = 10
"""Stamps come first: a worker gets a tenth of what another process gets of a busy processor."""
BEGIN_BYTES = 1_024

_encode = msgspec.msgpack.Encoder().encode
_decode_begin = msgspec.msgpack.Decoder(Begin).decode


def run_worker(
    channel: socket.socket, tasks: Mapping[str, Task], ground: Ground, limits: Limits, keeper: int
) -> NoReturn:
    """The whole life of a worker, right after fork(2). `keeper`: the process that forked it."""
    status = 1
    try:
        isolation.end_with(keeper)
        _close_all_but(channel.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.nice(NICE)
        isolation.confine(limits)
        gc.enable()
        _work(channel, tasks, ground, limits)
        status = 0
    finally:
        os._exit(status)  # nothing of the keeper's is to be cleaned up here


def _close_all_but(kept: int) -> None:
    """The keeper's sockets: what speaks to others than the keeper is not for a worker."""
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _work(channel: socket.socket, tasks: Mapping[str, Task], ground: Ground, limits: Limits) -> None:
    channel.setblocking(True)
    begun = _begun(channel)
    if begun is None:
        return
    name, descriptor = begun
    task = tasks[name]
    if task.prepare is not None:
        task.prepare()
    if task.most == 1:
        isolation.begin_task(limits.cpu_seconds, last=True)
    isolation.stay_alone(further=task.most > 1)
    for _ in range(task.most):
        if task.most > 1:
            isolation.begin_task(limits.cpu_seconds, last=False)
        channel.sendall(frame(_encode(_outcome(task, ground, descriptor))))
        if task.most == 1:
            return
        os.close(descriptor)
        begun = _begun(channel)
        if begun is None or begun[0] != name:
            return
        descriptor = begun[1]


def _begun(channel: socket.socket) -> tuple[str, int] | None:
    """The next task's name and its request; None where the keeper ended."""
    data, descriptors, _, _ = socket.recv_fds(channel, BEGIN_BYTES, 1)
    return (_decode_begin(data[LENGTH_BYTES:]).task, descriptors[0]) if descriptors else None


def _request(descriptor: int) -> memoryview:
    size = os.fstat(descriptor).st_size
    return memoryview(mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ) if size else b"")


def _outcome(task: Task, ground: Ground, descriptor: int) -> Done | Refused:
    try:
        return Done(0, task.answer(ground, _request(descriptor)))
    except CinnabarError as error:
        return _refused(error)
    except (MemoryError, RecursionError) as error:
        kind = type(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours in a parser: told, and the next worker is a new one
        return _refused(DocumentWorkerFailed(f"The task met a {type(error).__name__}."))
    isolation.take_headroom()
    what = "memory" if kind is MemoryError else "nesting"
    return _refused(DocumentTooCostly(f"The document needs more {what} than one may use."))


def _refused(error: CinnabarError) -> Refused:
    return Refused(0, error.code, str(error)[:DETAIL_CHARACTERS])
