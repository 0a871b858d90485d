"""The keeper as a process: `python -m appliance.documents --home DIR [--user N]`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import structlog

from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings
from appliance.calls.sockets import private_listener
from appliance.documents.isolation import Isolation, Limits
from appliance.documents.messages import Hello
from appliance.documents.server import Server
from appliance.documents.tasks import TASKS, Task
from appliance.documents.trust import TrustKeeper
from appliance.documents.worker import NICE

log = structlog.get_logger("documents")


def limits_of(settings: BoxSettings) -> Limits:
    documents = settings.documents
    return Limits(documents.cpu_seconds, documents.wall_seconds, documents.memory_mb * 1024 * 1024)


def step_back() -> None:
    """Have the kernel share processors so that stamps come first, where each part of the box has a session of its own.

    Between sessions it shares them evenly whatever the nice levels of their processes (sched(7), the autogroup
    feature), so that the session steps back as a whole. A session that others share is left as it is. To be called
    while the process may write to its /proc: `shut_off` ends that."""
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel without the feature goes by the levels
            Path("/proc/self/autogroup").write_text(str(NICE))


def serve(
    home: Home,
    settings: BoxSettings,
    isolation: Isolation,
    users: frozenset[int],
    tasks: Mapping[str, Task] = TASKS,
    *,
    readers: frozenset[int] = frozenset(),
) -> None:
    """Run until SIGTERM or SIGINT. `users`: who may connect, beside root; without a user of our own, that user too.
    `readers`: who may have files verified, and nothing else."""
    os.umask(0o077)
    if not isolation.own_user:
        users |= {os.geteuid()}
    count = settings.documents.workers
    server = Server(
        private_listener(home.documents_socket),
        users | {0},
        tasks,
        TrustKeeper(home.trust),
        Hello(count, isolation.own_user, isolation.own_network, isolation.calls_held, isolation.files_held),
        limits_of(settings),
        readers=readers,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    log.info(
        "documents-ready", workers=count, own_user=isolation.own_user, own_network=isolation.own_network,
        calls_held=isolation.calls_held, files_held=isolation.files_held, tasks=sorted(tasks),
    )  # fmt: skip
    say_ready()
    server.run()
    log.info("documents-stopped")
