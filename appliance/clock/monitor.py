"""The clock monitor: a process that measures three times in a word's lifetime and publishes what it finds.

If it dies or hangs its last word expires and the stamps stop: it fails closed.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import structlog

from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import BoxSettings, ClockSettings
from appliance.clock.chrony import ask_tracking
from appliance.clock.errors import TimeNotShown
from appliance.clock.page import WordReader, WordWriter
from appliance.clock.sources import SMEAR_ERROR_NS, ChronySource, Measurer, SystemSource
from appliance.clock.word import Fault, Word
from appliance.errors import CinnabarError

logger = structlog.get_logger("clock")

_MEASUREMENTS_IN_A_LIFETIME = 3


class ClockSettingsRefused(CinnabarError):
    """The clock's settings break control TIME."""

    code = "clock-settings-refused"
    title = "The clock's settings are refused"
    control = "TIME"


def source_of(settings: ClockSettings, *, rehearsal: bool, previous: Word | None = None) -> Measurer:
    """The source that the settings name. Raises ClockSettingsRefused."""
    lifetime_ns = settings.word_lifetime_ms * 1_000_000
    if settings.word_lifetime_ms < 1:
        raise ClockSettingsRefused("clock.word_lifetime_ms is not positive")
    if settings.source == "system":
        if not rehearsal:
            raise ClockSettingsRefused("the unverified system clock is for a rehearsal box only")
        return SystemSource(lifetime_ns=lifetime_ns)
    smeared = settings.leap_policy == "smear"
    maximum_error_ns = settings.maximum_error_us * 1000
    if maximum_error_ns <= (SMEAR_ERROR_NS if smeared else 0):
        raise ClockSettingsRefused("clock.maximum_error_us leaves no room for any error; a smeared clock needs 0.5 s")
    timeout_s = settings.word_lifetime_ms / 1000 / (2 * _MEASUREMENTS_IN_A_LIFETIME)
    return ChronySource(
        partial(ask_tracking, settings.chrony_address, timeout_s=timeout_s),
        lifetime_ns=lifetime_ns,
        maximum_error_ns=maximum_error_ns,
        smeared=smeared,
        previous=previous,
    )


def last_word(page: Path) -> Word | None:
    """The word that an earlier monitor left, if there is one."""
    with WordReader(page) as reader:
        try:
            return reader()
        except TimeNotShown:
            return None


def watch(source: Measurer, writer: WordWriter, wait: Callable[[], bool]) -> None:
    """Measure and publish until `wait` says to end; then withdraw the word, so that stamps stop at once."""
    fault: Fault | None = None
    while True:
        word = source.measure()
        writer.write(word)
        if word.fault is not fault:
            fault = word.fault
            logger.info("clock", source=word.source.name.lower(), fault=fault.name.lower(), error_ns=word.error_ns)
        if wait():
            writer.write(msgspec.structs.replace(word, fault=Fault.STOPPED))
            return


def main(home: Home, settings: BoxSettings) -> None:
    """Run the monitor until SIGTERM or SIGINT. Raises ClockSettingsRefused."""
    # Not sigtimedwait: stopped and continued, CPython's may return as if a signal had come.
    heard, tell = socket.socketpair()
    tell.setblocking(False)
    signal.set_wakeup_fd(tell.fileno())
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: None)
    source = source_of(settings.clock, rehearsal=settings.rehearsal, previous=last_word(home.clock_page))
    interval_s = settings.clock.word_lifetime_ms / 1000 / _MEASUREMENTS_IN_A_LIFETIME
    writer = WordWriter(home.clock_page)

    def wait() -> bool:
        say_ready()  # a word stands
        return bool(select.select((heard,), (), (), interval_s)[0])

    watch(source, writer, wait)
    writer.close()
