"""The monitor as a process, its page, and what happens when it stops, hangs or dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.box.home import Home
from appliance.box.settings import BoxSettings, ClockSettings, write_settings
from appliance.clock import Clock, Reading, TimeNotShown
from appliance.clock.monitor import ClockSettingsRefused, source_of
from appliance.clock.page import WordReader, WordWriter
from appliance.clock.reading import boot_ns, system_ns, system_word
from appliance.clock.word import Fault


def box(home: Home, clock: ClockSettings, *, rehearsal: bool = True) -> None:
    write_settings(
        home.settings,
        BoxSettings(
            box_id="0" * 32,
            name="test",
            rehearsal=rehearsal,
            tokens=[],
            tenants=[],
            units=[],
            seal_keys=[],
            logs=[],
            authorities=[],
            clock=clock,
        ),
    )


StartMonitor = Callable[[ClockSettings], tuple[subprocess.Popen[bytes], Clock]]


@pytest.fixture
def start_monitor(tmp_path: Path) -> Iterator[StartMonitor]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(settings: ClockSettings) -> tuple[subprocess.Popen[bytes], Clock]:
        home = Home(tmp_path)
        box(home, settings)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "appliance.clock", "--home", str(tmp_path)], stderr=subprocess.DEVNULL
        )
        processes.append(process)
        return process, Clock.open(home.clock_page)

    yield start
    for process in processes:
        process.kill()
        process.wait()


def until_shown(clock: Clock) -> Reading:
    deadline = time.monotonic() + 20
    while True:
        try:
            return clock.read()
        except TimeNotShown:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def refusal(clock: Clock) -> str:
    """Why the clock is not shown; empty if it is."""
    try:
        clock.read()
    except TimeNotShown as error:
        return str(error)
    return ""


def until_refused(clock: Clock, words: str) -> float:
    """Seconds until the clock is not shown any more, for that reason."""
    start = time.monotonic()
    while words not in refusal(clock):
        assert time.monotonic() < start + 20
        time.sleep(0.01)
    return time.monotonic() - start


def test_chrony_shows_the_time(start_monitor: StartMonitor, chrony: Any) -> None:
    process, clock = start_monitor(ClockSettings(source="chrony", chrony_address=chrony.address))
    reading = until_shown(clock)
    assert reading.source == "chrony"
    assert reading.error_us is not None
    assert 1_000 <= reading.error_us < 100_000
    assert abs(reading.time_us - time.time_ns() // 1000) < 100_000
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    with pytest.raises(TimeNotShown, match="has stopped"):
        clock.read()


def test_a_monitor_that_hangs_is_not_believed(start_monitor: StartMonitor, chrony: Any) -> None:
    process, clock = start_monitor(ClockSettings(source="chrony", chrony_address=chrony.address, word_lifetime_ms=600))
    until_shown(clock)
    process.send_signal(signal.SIGSTOP)
    assert until_refused(clock, "expired") < 2
    process.send_signal(signal.SIGCONT)
    until_shown(clock)
    process.kill()
    process.wait()
    assert until_refused(clock, "expired") < 2
    _, again = start_monitor(ClockSettings(source="chrony", chrony_address=chrony.address, word_lifetime_ms=600))
    until_shown(again)
    until_shown(clock)  # the same page: nobody has to open it anew


def test_a_time_daemon_that_hangs_or_is_not_there_is_told(start_monitor: StartMonitor, chrony: Any) -> None:
    _, clock = start_monitor(ClockSettings(source="chrony", chrony_address=chrony.address, word_lifetime_ms=600))
    until_shown(clock)
    chrony.client.send_signal(signal.SIGSTOP)
    try:
        assert until_refused(clock, "does not answer") < 2
    finally:
        chrony.client.send_signal(signal.SIGCONT)
    until_shown(clock)


def test_a_daemon_in_local_mode_shows_nothing(start_monitor: StartMonitor, chrony: Any) -> None:
    _, clock = start_monitor(ClockSettings(source="chrony", chrony_address=f"127.0.0.1:{chrony.server_command_port}"))
    until_refused(clock, "not synchronised")


def test_the_system_clock_is_for_rehearsal_only(tmp_path: Path, start_monitor: StartMonitor) -> None:
    _, clock = start_monitor(ClockSettings(source="system"))
    reading = until_shown(clock)
    assert reading.error_us is None
    assert reading.source == "system"
    production = Home(tmp_path / "production")
    production.root.mkdir()
    box(production, ClockSettings(source="system"), rehearsal=False)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "appliance.clock", "--home", str(production.root)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "for a rehearsal box only (control TIME)" in done.stderr
    assert not production.clock_page.exists()


@pytest.mark.parametrize(
    "settings",
    [
        ClockSettings(source="chrony", maximum_error_us=0),
        ClockSettings(source="chrony", maximum_error_us=500_000, leap_policy="smear"),
        ClockSettings(source="chrony", word_lifetime_ms=0),
    ],
)
def test_settings_that_can_never_work_are_refused(settings: ClockSettings) -> None:
    with pytest.raises(ClockSettingsRefused):
        source_of(settings, rehearsal=False)


# --- the page -----------------------------------------------------------------------------------------------------


def word() -> Any:
    return system_word(system_ns(), boot_ns(), lifetime_ns=10**12)


def test_no_page_and_a_page_that_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / "run" / "clock" / "word"
    with WordReader(path) as reader:
        with pytest.raises(TimeNotShown, match="not spoken"):
            reader()
        path.parent.mkdir(parents=True)
        path.touch()
        with pytest.raises(TimeNotShown, match="not spoken"):
            reader()
        writer = WordWriter(path)
        with pytest.raises(TimeNotShown, match="not whole"):
            reader()
        written = word()
        writer.write(written)
        assert reader() == written
        assert reader() is reader()
        later = msgspec.structs.replace(written, fault=Fault.STOPPED, error_ns=5)
        writer.write(later)
        assert reader() == later
        writer.close()


def test_every_user_may_read_the_page_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        WordWriter(tmp_path / "word").close()
    finally:
        os.umask(before)
    assert (tmp_path / "word").stat().st_mode & 0o777 == 0o644


def test_a_writer_that_died_while_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "word"
    first = WordWriter(path)
    written = word()
    first.write(written)
    with WordReader(path) as reader:
        assert reader() == written
        first._view[0] += 1  # odd: being written
        assert reader() == written  # who knows a word goes on with it until it expires
        with WordReader(path) as newcomer, pytest.raises(TimeNotShown, match="not whole"):
            newcomer()
        first.close()
        second = WordWriter(path)
        later = msgspec.structs.replace(written, growth_ppb=1)
        second.write(later)
        assert reader() == later
        second.close()


@pytest.mark.parametrize("place", range(1, 12))
def test_a_torn_page_is_not_believed(tmp_path: Path, place: int) -> None:
    writer = WordWriter(tmp_path / "word")
    writer.write(word())
    writer._view[place] ^= 1
    with WordReader(tmp_path / "word") as reader, pytest.raises(TimeNotShown, match="not whole"):
        reader()
    writer.close()


WRITE_FOR_A_WHILE = """
import sys, time
from pathlib import Path
from appliance.clock.page import WordWriter
from appliance.clock.word import Fault, Source, Word
writer = WordWriter(Path(sys.argv[1]))
end = time.monotonic() + 2
number = 0
while time.monotonic() < end:
    number += 1
    writer.write(Word(source=Source.CHRONY, boot_ns=number, offset_ns=number, error_ns=number, growth_ppb=number,
                      maximum_error_ns=number, expires_ns=number, leap_announced=False, fault=Fault.NONE))
"""


def test_a_reader_beside_a_hasty_writer_sees_whole_words_in_order(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_A_WHILE, str(tmp_path / "word")])
    seen = latest = 0
    with WordReader(tmp_path / "word") as reader:
        while process.poll() is None:
            try:
                read = reader()
            except TimeNotShown:
                continue  # not there yet, or never found at rest: refused, not believed
            numbers = {read.boot_ns, read.offset_ns, read.error_ns, read.growth_ppb, read.expires_ns}
            assert len(numbers) == 1
            assert read.boot_ns >= latest
            seen += read.boot_ns > latest
            latest = read.boot_ns
    assert process.returncode == 0
    assert seen > 2  # on a busy machine the writer is mostly met in the middle of a word
