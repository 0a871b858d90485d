"""The recorder as a process: `python -m appliance.recorder --home DIR`."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import msgspec
import structlog

from appliance.box.home import Home
from appliance.box.process import settle_objects
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings, read_settings
from appliance.calls.sockets import private_directory, unix_listener
from appliance.recorder.counts import read_counts
from appliance.recorder.errors import ReadOnly
from appliance.recorder.keeper import Keeper, KeeperSettings
from appliance.recorder.messages import BOX_LOG
from appliance.recorder.powers import peers_of
from appliance.recorder.server import Server
from appliance.recorder.writer import Writer, WriterSettings

log = structlog.get_logger(__name__)


def writer_settings(settings: BoxSettings) -> WriterSettings:
    return WriterSettings(
        window_ms=settings.limits.idempotency_window_hours * 3_600_000,
        logs={entry.origin: BOX_LOG if entry.tenant is None else entry.tenant for entry in settings.logs},
        bases={entry.origin: entry.base for entry in settings.logs},
        segment_bytes=settings.records.segment_bytes,
        segment_us=settings.records.segment_hours * 3_600_000_000,
    )


def keeper_settings(home: Home, settings: BoxSettings) -> KeeperSettings:
    return KeeperSettings(
        root=home.root,
        archive=home.root / settings.records.archive,
        warn_bytes=settings.limits.disk_warn_bytes,
        refuse_bytes=settings.limits.disk_refuse_bytes,
        keep_days=settings.records.keep_days,
        job_days=settings.records.job_days,
    )


def main(root: Path) -> None:
    """Run until SIGTERM or SIGINT."""
    home = Home(root)
    settings = read_settings(home.settings)
    os.umask(0o077)
    private_directory(home.recorder_socket.parent)
    writer = Writer(home.records, writer_settings(settings))
    with contextlib.suppress(ReadOnly):
        writer.settle_runs(lambda run: read_counts(home.counters, run))
    server = Server(
        writer,
        home.records,
        unix_listener(home.recorder_socket, 0o660),
        # Members of the recorder's group come as far as this socket; who they are is looked at when they do.
        unix_listener(home.admin_socket, 0o660),
        peers_of(settings, os.geteuid()),
        lost=lambda run: read_counts(home.counters, run.run),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    log.info("recorder-ready", records=writer.ground.next_sequence - 1, tenants=len(writer.ground.callers.tenants))
    keeper = Keeper(writer, server, home.records, keeper_settings(home, settings))

    def reload(*_: object) -> None:
        """Other settings were adopted, and hold from the next transaction on."""
        try:
            adopted = read_settings(home.settings)
        except (OSError, msgspec.MsgspecError) as error:
            log.error("settings-unreadable", error=type(error).__name__)
            return
        writer.adopt(writer_settings(adopted))
        keeper.settings = keeper_settings(home, adopted)

    signal.signal(signal.SIGHUP, reload)
    keeper.start()
    settle_objects()
    say_ready()
    try:
        server.run()
    finally:
        keeper.stop()
        writer.close()
    log.info("recorder-stopped", transactions=writer.transactions)
