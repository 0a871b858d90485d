"""The cosigner before real HTTP witnesses: which head is cosigned, by whom, and what is left on disk."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from appliance.cosigner.process import Cosigner
from appliance.log import log_directory, verify_tlog_proof
from appliance.log.proofs import TlogProof
from appliance.log.reader import LogReader
from appliance.log.witnesses import WitnessPolicy
from firmware_tests.cosigner.growing import GrowingLog
from firmware_tests.cosigner.places import Place, cosigning, trouble, until, word_of
from firmware_tests.cosigner.witness import Witness


def test_a_head_gets_all_lines_and_a_record_keeps_its_first_cosigned_head(three: list[Witness], tmp_path: Path) -> None:
    place = Place(tmp_path, three, quorum=2)

    async def run() -> None:
        async with cosigning(place) as cosigner:
            for size in (1, 5, 300, 1000):
                place.log.grow(size - place.log.size)
                await until(lambda size=size: place.size == size, f"a cosigned head of {size}")
                assert place.cosigners() == [witness.name for witness in three]
            assert word_of(cosigner).behind_since is None
            await until(place.home.cosigner_word.exists, "the word")

    asyncio.run(run())
    assert [(witness.requests[0][0], witness.size(place.log.origin)) for witness in three] == [(0, 1000)] * 3
    heads, reader = place.heads, LogReader(place.log.directory)
    for size, expected in ((1, 1), (2, 5), (5, 5), (6, 300), (300, 300), (301, 1000), (1000, 1000)):
        note = heads.covering(size)
        assert note is not None
        assert int(note.split(b"\n")[1]) == expected
        proof = TlogProof.parse(reader.tlog_proof(size - 1, note=note))
        verify_tlog_proof(proof, place.log.entries[size - 1], place.log.origin, place.log.keys)
    assert heads.covering(1001) is None


def test_a_witness_that_stops_delays_nothing_and_comes_back(three: list[Witness], tmp_path: Path) -> None:
    place = Place(tmp_path, three, quorum=2)

    async def run() -> None:
        async with cosigning(place) as cosigner:
            place.log.grow(3)
            await until(lambda: place.size == 3, "the first head")
            three[2].stop()
            place.log.grow(4)
            await until(lambda: place.size == 7, "a head without the third")
            assert place.cosigners() == [three[0].name, three[1].name]
            await until(lambda: trouble(cosigner, three[2]) == "silent", "the silence is told")
            three[2].start()
            await until(lambda: three[2].size(place.log.origin) == 7, "it follows, though nothing is new")
            await until(lambda: trouble(cosigner, three[2]) is None, "its answer is heard")
            place.log.grow(1)
            await until(lambda: place.size == 8, "the next head")
            assert len(place.cosigners()) == 3

    asyncio.run(run())


def test_a_witness_that_was_silent_to_one_log_is_told_as_silent_to_the_others(
    three: list[Witness], tmp_path: Path
) -> None:
    """They leave it alone meanwhile: that it cosigns would be said of a witness that nobody can reach."""
    place = Place(tmp_path, three, quorum=3)
    other = GrowingLog(log_directory(place.home.logs, "log.example/other"), "log.example/other")
    for witness in three:
        witness.watch(other.origin, *(str(key.verifier) for key in other.keys))
    both = [*place.settings.logs, msgspec.structs.replace(place.settings.logs[0], origin=other.origin)]
    place.settings = msgspec.structs.replace(place.settings, logs=both)

    def told(cosigner: Cosigner) -> list[str | None]:
        words = [one.word() for one in cosigner.logs]
        return [one.trouble for word in words for one in word.witnesses if one.name == three[2].name]

    async def run() -> None:
        async with cosigning(place) as cosigner:
            place.log.grow(1)
            other.grow(1)
            await until(lambda: [one.word().cosigned for one in cosigner.logs] == [1, 1], "the first heads")
            assert told(cosigner) == [None, None]
            three[2].stop()
            place.log.grow(1)
            await until(lambda: told(cosigner)[0] == "silent", "its silence to one log")
            assert told(cosigner) == ["silent", "silent"]
            three[2].start()
            await until(lambda: told(cosigner) == [None, None], "both hear it again")

    asyncio.run(run())


def test_below_the_quorum_no_head_is_cosigned_and_the_others_go_on_following(
    three: list[Witness], tmp_path: Path
) -> None:
    place = Place(tmp_path, three, quorum=3)

    async def run() -> None:
        async with cosigning(place) as cosigner:
            place.log.grow(2)
            await until(lambda: place.size == 2, "the first head")
            three[0].stop()
            for _ in range(5):
                place.log.grow(10)
                await until(lambda: three[2].size(place.log.origin) == place.log.size, "the newest head is seen")
            assert place.size == 2
            behind = word_of(cosigner).behind_since
            assert behind is not None
            assert time.time() - 20 < behind <= time.time()
            three[0].start()
            await until(lambda: place.size == place.log.size, "the quorum")
            assert word_of(cosigner).behind_since is None

    asyncio.run(run())


def test_slow_witnesses_meet_at_one_head_while_the_log_grows(three: list[Witness], tmp_path: Path) -> None:
    """Each takes another time; asked about whatever is newest they might never sign the same head."""
    for witness, seconds in zip(three, ("0.03", "0.07", "0.11"), strict=True):
        witness.lasting = f"slow:{seconds}"
    place = Place(tmp_path, three, quorum=3)

    async def run() -> None:
        async with cosigning(place):
            seen = set()
            deadline = time.monotonic() + 15
            while len(seen) < 6 and time.monotonic() < deadline:
                place.log.grow(1)
                await asyncio.sleep(0.01)
                seen.add(place.size)
            assert len(seen) >= 6

    asyncio.run(run())


def test_a_witness_that_is_slower_than_the_others_only_loses_its_own_line(three: list[Witness], tmp_path: Path) -> None:
    three[2].lasting = "slow:30"
    place = Place(tmp_path, three, quorum=2)

    async def run() -> None:
        async with cosigning(place, call_s=60):
            place.log.grow(1)
            started = time.monotonic()
            await until(lambda: place.size == 1, "settled after a moment's grace")
            assert time.monotonic() - started < 10
            for _ in range(3):
                place.log.grow(1)
                await until(lambda: place.size == place.log.size, "the next")
            assert place.cosigners() == [three[0].name, three[1].name]

    asyncio.run(run())


def test_a_settled_head_never_changes(three: list[Witness], tmp_path: Path) -> None:
    """A line that comes later is not added: what was proven under the head stays the same bytes."""
    three[2].habits = ["status:503"]
    place = Place(tmp_path, three, quorum=2)

    async def run() -> None:
        async with cosigning(place):
            place.log.grow(5)
            await until(lambda: place.size == 5, "settled")
            first = place.heads.covering(5)
            await until(lambda: three[2].size(place.log.origin) == 5, "the third has cosigned too")
            assert place.heads.covering(5) == first == place.heads.latest()
        async with cosigning(place):
            await asyncio.sleep(0.1)
            assert place.heads.covering(5) == first == place.heads.latest()

    asyncio.run(run())


def test_the_log_changes_its_key(three: list[Witness], tmp_path: Path) -> None:
    """A witness that does not know the new key yet is told of, and cosigns once its operator has entered it."""
    place = Place(tmp_path, three, quorum=2)
    other = type(place.log)(tmp_path / "elsewhere")
    old = place.log.keys[0]

    async def run() -> None:
        async with cosigning(place) as cosigner:
            place.log.grow(5)
            await until(lambda: place.size == 5, "under the old key")
            place.log.key, place.log.keys = other.key, other.keys
            from appliance.log.keys import write_log_keys

            write_log_keys(place.log.directory, place.log.origin, [old, *other.keys])
            for witness in three[:2]:
                witness.watch(place.log.origin, str(old.verifier), str(other.keys[0].verifier))
            place.log.grow(5)
            await until(lambda: place.size == 10, "under the new one")
            await until(lambda: trouble(cosigner, three[2]) == "unknown-key", "the third says so")
            three[2].watch(place.log.origin, str(other.keys[0].verifier))
            await until(lambda: trouble(cosigner, three[2]) is None, "the third knows it")

    asyncio.run(run())


@pytest.mark.parametrize("lost", ["states", "everything"])
def test_a_restart_goes_on_whatever_is_left(three: list[Witness], tmp_path: Path, lost: str) -> None:
    place = Place(tmp_path, three, quorum=3)

    async def run() -> None:
        async with cosigning(place):
            place.log.grow(300)
            await until(lambda: place.size == 300, "settled")
        for path in place.home.cosigned.rglob("*"):
            if path.is_file() and (lost == "everything" or path.name == "witnesses.json"):
                path.unlink()
        place.log.grow(200)
        async with cosigning(place):
            await until(lambda: place.size == 500, "settled again")

    asyncio.run(run())
    assert place.cosigners() == [witness.name for witness in three]
    policy = WitnessPolicy(tuple(_key(witness) for witness in three), 3)
    assert policy.cosigners(place.heads.latest()) == {witness.name for witness in three}


def _key(witness: Witness):  # type: ignore[no-untyped-def]
    from appliance.log import VerifierKey

    return VerifierKey.parse(witness.vkey)
