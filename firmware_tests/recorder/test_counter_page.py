"""The page on which a process counts what it signs: read by another, whatever happened to the writer."""

from __future__ import annotations

import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.recorder.counts import OVERFLOW, PLACES, CallCounter, Counts, new_run_id, read_counts

REASONS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=56)
COUNTS = st.builds(Counts, st.integers(0, 9), st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)))


def test_a_page_is_read_while_it_is_written(tmp_path: Path) -> None:
    counter = CallCounter(tmp_path, new_run_id())
    assert read_counts(tmp_path, counter.run) == Counts(0, {})
    for _ in range(3):
        counter.count()
    counter.drop("self-test")
    counter.drop("outcome-unknown", 40)
    counter.drop("self-test")
    told = Counts(3, {"self-test": 2, "outcome-unknown": 40})
    assert read_counts(tmp_path, counter.run) == counter.counts() == told
    counter.close()
    assert read_counts(tmp_path, counter.run) == told


@given(st.lists(st.tuples(REASONS, st.integers(1, 1 << 40)), max_size=120))
def test_every_drop_is_on_the_page(tmp_path_factory, drops: list[tuple[str, int]]) -> None:  # type: ignore[no-untyped-def]
    directory = tmp_path_factory.mktemp("pages")
    counter = CallCounter(directory, new_run_id())
    for reason, signatures in drops:
        counter.drop(reason, signatures)
    found = read_counts(directory, counter.run)
    assert found is not None
    assert found.drops == counter.drops
    assert sum(found.drops.values()) == sum(signatures for _, signatures in drops)
    counter.close(remove=True)


def test_reasons_without_a_place_are_counted_together(tmp_path: Path) -> None:
    counter = CallCounter(tmp_path, new_run_id())
    for number in range(2 * PLACES):
        counter.drop(f"reason-{number}")
    found = read_counts(tmp_path, counter.run)
    assert found is not None
    assert found.drops == counter.drops
    assert found.drops[OVERFLOW] == 2 * PLACES - (PLACES - 2)
    counter.close()


def test_several_threads_count(tmp_path: Path) -> None:
    counter = CallCounter(tmp_path, new_run_id())

    def work() -> None:
        for _ in range(20_000):
            counter.count()
            counter.drop("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_counts(tmp_path, counter.run) == Counts(80_000, {"x": 80_000})
    counter.close()


def test_what_is_no_page_is_none(tmp_path: Path) -> None:
    for name in ("../secret", "0" * 31, "0" * 32):
        assert read_counts(tmp_path, name) is None
    (tmp_path / ("1" * 32)).write_bytes(bytes(8))
    assert read_counts(tmp_path, "1" * 32) is None


@given(COUNTS, COUNTS)
def test_the_newest_of_two_sources(one: Counts, other: Counts) -> None:
    both = one.newest(other)
    assert both == other.newest(one)
    assert both.newest(one) == both
    assert one.newest(None) == one
    for known in (one, other):
        assert both.signed >= known.signed
        assert all(both.drops[reason] >= count for reason, count in known.drops.items())
