"""Witnesses that lie, hang and break every rule, and logs that are not what they were: told, and nothing more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cosigner.protocol import AtSize, Cosigned, Refused, Trouble, read_answer
from appliance.cosigner.word import doubted_logs
from appliance.log import VerifierKey, parse_note
from appliance.log.note import COSIGNATURE_V1
from appliance.witness.request import encode_request
from firmware_tests.cosigner.growing import ORIGIN, GrowingLog
from firmware_tests.cosigner.places import Place, cosigning, trouble, until, word_of
from firmware_tests.cosigner.witness import Witness

LIES = {
    "hang": "silent",
    "drop": "silent",
    "drip": "silent",
    "huge": "silent",
    "garbage": "malformed",
    "forged": "malformed",
    "other-text": "malformed",
    "late-time": "malformed",
    "elsewhere": "malformed",
    "plain-409": "forked",
    "status:200": "malformed",
    "status:400": "malformed",
    "status:418": "malformed",
    "status:403": "unknown-key",
    "status:404": "unknown-log",
    "status:422": "forked",
    "status:429": "busy",
    "status:500": "busy",
    "size:7": "ahead",
    "size:07": "malformed",
    "size:-1": "malformed",
    "size:9223372036854775807": "ahead",
    "size:99999999999999999999": "malformed",
    "size:0": "malformed",
}


@pytest.mark.parametrize("habit", LIES)
def test_a_witness_that_lies_is_told_of_and_stops_nobody(three: list[Witness], tmp_path: Path, habit: str) -> None:
    three[1].lasting = habit
    place = Place(tmp_path, three, quorum=2)

    async def run() -> None:
        async with cosigning(place, call_s=0.5) as cosigner:
            place.log.grow(5)
            await until(lambda: place.size == 5, "the quorum of the others")
            assert place.cosigners() == [three[0].name, three[2].name]
            await until(lambda: trouble(cosigner, three[1]) == LIES[habit], f"{LIES[habit]} is told")
            doubts = [one.doubts for one in word_of(cosigner).witnesses]
            assert doubts == [False, LIES[habit] in {"ahead", "forked"}, False]
            if any(doubts):
                await until(lambda: doubted_logs(place.home.cosigner_word) == 1, "the supervisor can read it")
            three[1].lasting = ""
            await until(lambda: trouble(cosigner, three[1]) is None, "it behaves again", 70)
            place.log.grow(1)
            await until(lambda: place.size == 6 and len(place.cosigners()) == 3, "all three")

    asyncio.run(run())


def test_lines_of_other_keys_are_left_out(three: list[Witness], tmp_path: Path) -> None:
    three[0].lasting = "other-key"
    place = Place(tmp_path, three, quorum=3)

    async def run() -> None:
        async with cosigning(place):
            place.log.grow(5)
            await until(lambda: place.size == 5, "the quorum")

    asyncio.run(run())
    assert place.cosigners() == [witness.name for witness in three]


def test_a_box_that_was_rolled_back_hears_it_from_its_witnesses(three: list[Witness], tmp_path: Path) -> None:
    place = Place(tmp_path / "true", three, quorum=2)

    async def true() -> None:
        async with cosigning(place):
            place.log.grow(10)
            await until(lambda: place.size == 10, "settled")
            for witness in three:
                await until(lambda witness=witness: witness.size(ORIGIN) == 10, "all have it")

    asyncio.run(true())
    old = Place(tmp_path / "restored", three, quorum=2, like=place.log)

    async def restored() -> None:
        async with cosigning(old) as cosigner:
            old.log.grow(8)
            for witness in three:
                await until(lambda witness=witness: trouble(cosigner, witness) == "ahead", "the witness is ahead")
            assert old.size == 0

    asyncio.run(restored())


def test_another_history_under_the_same_key_is_a_fork(three: list[Witness], tmp_path: Path) -> None:
    place = Place(tmp_path / "true", three, quorum=2)

    async def true() -> None:
        async with cosigning(place):
            place.log.grow(10)
            await until(lambda: all(witness.size(ORIGIN) == 10 for witness in three), "all have it")

    asyncio.run(true())
    for size in (10, 12):
        other = Place(tmp_path / f"other-{size}", three, quorum=2, like=place.log, seed="another")

        async def forked(other: Place = other, size: int = size) -> None:
            async with cosigning(other) as cosigner:
                other.log.grow(size)
                for witness in three:
                    await until(lambda witness=witness: trouble(cosigner, witness) == "forked", "the fork is told")
                assert other.size == 0

        asyncio.run(forked())
    assert [witness.size(ORIGIN) for witness in three] == [10, 10, 10]


@pytest.mark.parametrize("how", ["shorter", "another", "damaged"])
def test_a_log_that_is_not_what_was_cosigned_is_sent_to_nobody(three: list[Witness], tmp_path: Path, how: str) -> None:
    place = Place(tmp_path, three, quorum=2)

    async def run() -> None:
        async with cosigning(place) as cosigner:
            place.log.grow(300)
            await until(lambda: all(witness.size(ORIGIN) == 300 for witness in three), "settled")
            asked = [len(witness.requests) for witness in three]
            kept = (place.log.directory / "checkpoint").read_bytes()
            if how == "damaged":
                flipped = kept.replace(b"\n300\n", b"\n301\n")
                (place.log.directory / "checkpoint").write_bytes(flipped)
            else:
                shutil.rmtree(place.log.directory)
                seed = "" if how == "shorter" else "another"
                place.log = GrowingLog(place.log.directory, key=place.log.key, seed=seed)
                place.log.grow(200 if how == "shorter" else 400)
            await until(lambda: word_of(cosigner).problem, "it is told")
            await until(lambda: doubted_logs(place.home.cosigner_word) == 1, "the supervisor can read it")
            assert [len(witness.requests) for witness in three] == asked
            assert place.size == 300
            if how == "damaged":
                (place.log.directory / "checkpoint").write_bytes(kept)
                await until(lambda: word_of(cosigner).problem is None, "it is well again")

    asyncio.run(run())


def test_a_damaged_tile_does_not_look_like_a_fork(three: list[Witness], tmp_path: Path) -> None:
    place = Place(tmp_path, three, quorum=2)
    place.log.grow(600)

    async def first() -> None:
        async with cosigning(place):
            await until(lambda: all(witness.size(ORIGIN) == 600 for witness in three), "the first needs no tiles")
            await until(lambda: place.size == 600, "settled")

    async def then() -> None:
        async with cosigning(place) as cosigner:
            await until(lambda: word_of(cosigner).problem, "it is told")
            assert [trouble(cosigner, witness) for witness in three] == [None] * 3
            assert [len(witness.requests) for witness in three] == asked
            tile.write_bytes(good)
            await until(lambda: place.size == 601, "mended")

    asyncio.run(first())
    place.log.grow(1)
    tile = place.log.directory / "tile" / "1" / "000.p" / "2"
    good = tile.read_bytes()
    tile.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
    asked = [len(witness.requests) for witness in three]
    asyncio.run(then())


# --- the protocol by itself -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    made = Witness("witness.example")
    yield made
    made.stop()


@given(
    status=st.integers(100, 599), kind=st.text(max_size=30), body=st.binary(max_size=300), old=st.integers(0, 40),
    more=st.integers(0, 40),
)  # fmt: skip
def test_whatever_comes_is_an_answer(status: int, kind: str, body: bytes, old: int, more: int) -> None:
    key = VerifierKey("witness.example", bytes(32), COSIGNATURE_V1)
    note = parse_note(b"log.example\n1\n" + b"A" * 43 + "=\n\n— log.example AAAAAAAAAA==\n".encode())
    answer = read_answer(status, kind, body, note, key, old, old + more)
    assert isinstance(answer, Refused | AtSize)
    if isinstance(answer, AtSize):
        assert answer.size != old
    else:
        assert answer.detail
        assert body.decode(errors="replace") not in answer.detail or len(body) < 20


@given(old=st.integers(0, 3), hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_the_request_is_as_the_specification_has_it(old: int, hashes: list[bytes]) -> None:
    note = b"log.example\n1\nroot\n\n"
    lines = encode_request(old, hashes, note).split(b"\n")
    assert lines[0] == b"old %d" % old
    assert len(lines[1]) == (44 if hashes else 0)
    assert lines[1 + len(hashes)] == b""
    assert b"\n".join(lines[2 + len(hashes) :]) == note


def test_only_the_own_line_counts_and_its_time_is_read(witness: Witness) -> None:
    key = VerifierKey.parse(witness.vkey)
    note = parse_note(b"log.example\n1\n" + b"A" * 43 + "=\n\n— log.example AAAAAAAAAA==\n".encode())
    stranger = Witness("witness.example")
    stranger.stop()
    good, foreign = witness.line(note.text, 1_800_000_000), stranger.line(note.text)
    answer = read_answer(200, "", foreign + good, note, key, 0, 1)
    assert isinstance(answer, Cosigned)
    assert (answer.time_s, answer.line.line()) == (1_800_000_000, good)
    for body in (foreign, b"", good[:-1], good[:-9] + b"\n", good.replace(b" ", b"  "), b"\n" + good, good + b"x\n"):
        refused = read_answer(200, "", body, note, key, 0, 1)
        assert refused == Refused(Trouble.MALFORMED, refused.detail), body  # type: ignore[union-attr]
