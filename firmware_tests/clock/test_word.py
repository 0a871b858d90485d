"""The rules by which a word is believed: injected clocks, stepped both ways, run to expiry, driven over midnight."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.clock import Clock, ClockStepped, LeapSecondNear, TimeNotShown
from appliance.clock.chrony import LOCAL_REFERENCE, ChronyUnreachable, Tracking
from appliance.clock.sources import SMEAR_ERROR_NS, ChronySource, SystemSource, simultaneous
from appliance.clock.word import LEAP_MARGIN_US, STEP_TOLERANCE_NS, Fault, Source, Word, judge

SECOND = 1_000_000_000
START = 1_795_315_706 * SECOND
DAY_US = 86_400_000_000


class Machine:
    """A machine's clocks and its chronyd, moved by hand."""

    def __init__(self) -> None:
        self.boot_ns = 5_000 * SECOND
        self.offset_ns = START
        self.tracking = Tracking(
            reference_id=0x0A000001,
            stratum=2,
            leap=0,
            reference_time_ns=START,
            correction=-0.001,
            frequency_ppm=3.0,
            residual_frequency_ppm=-0.5,
            skew_ppm=1.5,
            root_delay=0.004,
            root_dispersion=0.002,
        )
        self.answers = True
        self.source = ChronySource(
            self.ask, lifetime_ns=3 * SECOND, maximum_error_ns=100_000_000, system=self.system, boot=self.boot
        )
        self.word = self.source.measure()
        self.clock = Clock(lambda: self.word, system=self.system, boot=self.boot)

    def boot(self) -> int:
        return self.boot_ns

    def system(self) -> int:
        return self.boot_ns + self.offset_ns

    def ask(self) -> Tracking:
        if not self.answers:
            raise ChronyUnreachable("silent")
        return self.tracking

    def passes(self, seconds: float) -> None:
        self.boot_ns += int(seconds * SECOND)

    def step(self, seconds: float) -> None:
        self.offset_ns += int(seconds * SECOND)

    def started_anew(self, previous: Word) -> ChronySource:
        """A source that knows only what the last monitor said."""
        return ChronySource(
            self.ask,
            lifetime_ns=SECOND,
            maximum_error_ns=SECOND,
            previous=previous,
            system=self.system,
            boot=self.boot,
        )

    def measure(self) -> Fault:
        self.word = self.source.measure()
        return self.word.fault

    def chronyd_updates(self, **changes: Any) -> None:
        changes = {"reference_time_ns": self.tracking.reference_time_ns + 64 * SECOND, **changes}
        self.tracking = msgspec.structs.replace(self.tracking, **changes)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_reading_and_its_growing_error(machine: Machine) -> None:
    first = machine.clock.read()
    assert first.time_us == machine.system() // 1000
    assert first.source == "chrony"
    assert first.error_us == 1_000 + 2_000 + 2_000 + STEP_TOLERANCE_NS // 1000 + 1
    machine.passes(2.9)
    later = machine.clock.read()
    assert later.time_us - first.time_us == 2_900_000
    assert later.error_us == first.error_us + 8  # 2.9 s at 1.5 + 0.5 + 1 ppm


def test_the_word_expires(machine: Machine) -> None:
    machine.passes(3)
    with pytest.raises(TimeNotShown, match="has expired"):
        machine.clock.read()
    assert machine.measure() is Fault.NONE
    machine.clock.read()


@pytest.mark.parametrize("seconds", [-86400, -1, -0.0011, 0.0011, 1, 86400])
def test_a_step_between_words_is_seen_at_once(machine: Machine, seconds: float) -> None:
    machine.step(seconds)
    with pytest.raises(ClockStepped) as caught:
        machine.clock.read()
    assert caught.value.control == "TIME"


def test_a_step_is_not_vouched_for_until_chronyd_has_measured_twice(machine: Machine) -> None:
    machine.step(5)
    for _ in range(10):
        machine.passes(1)
        assert machine.measure() is Fault.STEPPED  # chronyd still says that all is well
        with pytest.raises(TimeNotShown, match="was set"):
            machine.clock.read()
    machine.chronyd_updates()
    assert machine.measure() is Fault.STEPPED
    assert machine.measure() is Fault.STEPPED
    machine.chronyd_updates(correction=5.0)
    assert machine.measure() is Fault.INACCURATE  # now chronyd knows
    machine.step(-5)
    assert machine.measure() is Fault.STEPPED
    machine.chronyd_updates(correction=0.001)
    assert machine.measure() is Fault.STEPPED
    machine.chronyd_updates()
    assert machine.measure() is Fault.NONE
    machine.clock.read()


def test_a_step_while_chronyd_is_silent_is_remembered(machine: Machine) -> None:
    machine.answers = False
    assert machine.measure() is Fault.UNREACHABLE
    machine.step(-3)
    assert machine.measure() is Fault.UNREACHABLE
    machine.answers = True
    assert machine.measure() is Fault.STEPPED


def test_a_step_while_there_was_no_monitor_is_seen(machine: Machine) -> None:
    before = machine.word
    machine.step(2)
    machine.passes(60)
    assert machine.started_anew(before).measure().fault is Fault.STEPPED
    machine.boot_ns = 10 * SECOND  # another boot: the old word says nothing
    assert machine.started_anew(before).measure().fault is Fault.NONE


def test_a_step_during_the_measurement_is_seen(machine: Machine) -> None:
    ask = machine.ask

    def step_and_answer() -> Tracking:
        machine.step(1)
        return ask()

    source = ChronySource(
        step_and_answer, lifetime_ns=SECOND, maximum_error_ns=SECOND, system=machine.system, boot=machine.boot
    )
    assert source.measure().fault is Fault.STEPPED


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"leap": 3}, Fault.UNSYNCHRONISED),
        ({"stratum": 0}, Fault.UNSYNCHRONISED),
        ({"reference_id": 0}, Fault.UNSYNCHRONISED),
        ({"reference_id": LOCAL_REFERENCE}, Fault.UNSYNCHRONISED),
        ({"correction": 0.2}, Fault.INACCURATE),
        ({"correction": -0.2}, Fault.INACCURATE),
        ({"root_dispersion": 0.1}, Fault.INACCURATE),
        ({"root_delay": 0.2}, Fault.INACCURATE),
    ],
)
def test_what_chronyd_says_of_itself_is_heard(machine: Machine, changes: dict[str, Any], fault: Fault) -> None:
    machine.chronyd_updates(**changes)
    assert machine.measure() is fault
    with pytest.raises(TimeNotShown):
        machine.clock.read()


def test_the_error_may_pass_the_maximum_between_words(machine: Machine) -> None:
    machine.chronyd_updates(correction=0.0, root_delay=0.0, root_dispersion=0.0989, skew_ppm=50.0)
    assert machine.measure() is Fault.NONE
    machine.passes(1)
    machine.clock.read()
    machine.passes(1.5)
    with pytest.raises(TimeNotShown, match="above its maximum"):
        machine.clock.read()


@pytest.mark.parametrize("leap", [1, 2])
def test_no_reading_around_an_announced_leap_second(machine: Machine, leap: int) -> None:
    midnight_us = (machine.system() // 1000 // DAY_US + 1) * DAY_US
    machine.offset_ns = midnight_us * 1000 - machine.boot_ns
    for announced in (0, leap):
        for from_midnight_us, near in (
            (-LEAP_MARGIN_US - 1, False),
            (-LEAP_MARGIN_US, True),
            (-LEAP_MARGIN_US + 1, True),
            (0, True),
            (LEAP_MARGIN_US - 1, True),
            (LEAP_MARGIN_US, False),
            (DAY_US // 2, False),
        ):
            word = msgspec.structs.replace(machine.word, offset_ns=machine.offset_ns, leap_announced=announced > 0)
            word = msgspec.structs.replace(word, offset_ns=machine.offset_ns + from_midnight_us * 1000)
            real = machine.boot_ns + word.offset_ns
            if announced and near:
                with pytest.raises(LeapSecondNear):
                    judge(word, real, machine.boot_ns)
            else:
                assert judge(word, real, machine.boot_ns).time_us == midnight_us + from_midnight_us
    machine.chronyd_updates(leap=leap)
    assert (
        ChronySource(machine.ask, lifetime_ns=SECOND, maximum_error_ns=SECOND, system=machine.system, boot=machine.boot)
        .measure()
        .leap_announced
    )


def test_the_kernels_leap_step_is_a_step(machine: Machine) -> None:
    """At an inserted leap second the kernel sets the clock back by one second: no word from before is believed."""
    machine.step(-1)
    with pytest.raises(ClockStepped):
        machine.clock.read()


def test_a_smeared_clock_is_half_a_second_less_sure(machine: Machine) -> None:
    def source(maximum_ns: int) -> Word:
        return ChronySource(
            machine.ask,
            lifetime_ns=SECOND,
            maximum_error_ns=maximum_ns,
            smeared=True,
            system=machine.system,
            boot=machine.boot,
        ).measure()

    assert source(500_000_000).fault is Fault.INACCURATE
    machine.chronyd_updates(leap=1)
    word = source(900_000_000)
    assert word.fault is Fault.NONE
    assert not word.leap_announced
    assert word.error_ns == machine.word.error_ns + SMEAR_ERROR_NS  # type: ignore[operator]


def test_an_interrupted_reader_looks_again(machine: Machine) -> None:
    delays = iter([20_000_000, 0])

    def system() -> int:
        read = machine.system()
        machine.boot_ns += next(delays)
        return read

    clock = Clock(lambda: machine.word, system=system, boot=machine.boot)
    assert clock.read().time_us == machine.system() // 1000


@given(
    age_ns=st.integers(-10 * SECOND, 10 * SECOND),
    shift_ns=st.integers(-SECOND, SECOND) | st.integers(-2 * STEP_TOLERANCE_NS, 2 * STEP_TOLERANCE_NS),
    error_ns=st.none() | st.integers(0, 2 * SECOND),
    fault=st.sampled_from(Fault),
)
def test_a_reading_is_always_within_its_bound(age_ns: int, shift_ns: int, error_ns: int | None, fault: Fault) -> None:
    word = Word(
        source=Source.CHRONY,
        boot_ns=100 * SECOND,
        offset_ns=START,
        error_ns=error_ns,
        growth_ppb=10_000,
        maximum_error_ns=SECOND,
        expires_ns=103 * SECOND,
        leap_announced=False,
        fault=fault,
    )
    now = word.boot_ns + age_ns
    try:
        reading = judge(word, now + START + shift_ns, now)
    except TimeNotShown:
        assert (
            fault
            or not 0 <= age_ns < 3 * SECOND
            or abs(shift_ns) > STEP_TOLERANCE_NS
            or (error_ns is not None and error_ns + age_ns // 100_000 + STEP_TOLERANCE_NS > SECOND)
        )
        return
    assert not fault
    assert 0 <= age_ns < 3 * SECOND
    assert abs(reading.time_us * 1000 - (now + START)) < 1000
    assert (reading.error_us is None) == (error_ns is None)
    if reading.error_us is not None and error_ns is not None:
        # Truth is within error_ns of what the clock said at the measurement, and the clock may have moved by a shift.
        assert reading.error_us * 1000 >= error_ns + abs(shift_ns)


def test_the_system_source_vouches_for_nothing() -> None:
    word = SystemSource(lifetime_ns=SECOND).measure()
    assert word.error_ns is None
    assert word.source is Source.SYSTEM
    assert word.expires_ns - word.boot_ns == SECOND


def test_the_two_clocks_are_read_together() -> None:
    readings = iter([0, 50, 10, 20, 31, 22, 100, 200, 200])
    at, offset = simultaneous(lambda: next(readings), lambda: next(readings), attempts=3)
    assert (at, offset) == (21, 10)
