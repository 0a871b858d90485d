"""Ending a log and beginning the one that goes on from it: what is refused, what a crash leaves, how it is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.box.settings import EndedLogSettings, LogKeySettings, LogSettings
from appliance.errors import NotFound
from appliance.files import write_durably
from appliance.log import Integrator, LogKey, LogReader, VerifierKey, log_directory, sign_checkpoint
from appliance.log.check_successor import check_successor
from appliance.log.checkpoint import Checkpoint
from appliance.log.eras import SUCCESSOR_FILE, EraSource, era_of, eras_of, read_successor
from appliance.log.errors import LogDamaged
from appliance.log.exports import write_export
from appliance.log.keys import write_log_keys
from appliance.log.lines import Line
from appliance.log.predecessor import PREDECESSOR, PredecessorTiles, write_predecessor
from appliance.log.reader import CHECKPOINT_FILE
from appliance.log.renewal import NotRenewable, Place, following, last_head, prepare
from appliance.log.successor import Continuation, verify_continuation, verify_successor
from appliance.tree_hash import SHA256, SHA512, SM3, TreeHash, hash_of
from firmware_tests.log import oracle

ORIGIN = "log.example/rehearsal/bank"
KEY = "pkcs11:object=bank-log-1"


@dataclass
class Records:
    """The recorder's side: what is recorded, packed by the hash of the log that it went to."""

    entries: list[bytes]
    heads: dict[str, tuple[int, bytes]]

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        assert log == "bank"
        return b"".join(self.entries[first : first + limit])

    def head(self, origin: str) -> tuple[int, bytes] | None:
        return self.heads.get(origin)


class Kept:
    """A log on disk, as a stopped box leaves it."""

    def __init__(self, root: Path, size: int) -> None:
        self.place = Place(root / "logs", root / "exports", root / "cosigned")
        self.key = Ed25519PrivateKey.generate()
        self.records = Records([hashlib.sha256(b"%d" % number).digest() for number in range(size)], {})
        self.log = LogSettings(
            origin=ORIGIN, tenant="bank", keys=[LogKeySettings(key_uri=KEY, token="bank", name=ORIGIN)]
        )
        self.sign(self.log, self.records.entries)

    def sign(self, log: LogSettings, entries: list[bytes]) -> None:
        directory, hashing = log_directory(self.place.logs, log.origin), hash_of(log.origin)
        directory.mkdir(parents=True, exist_ok=True)
        integrator = Integrator(directory, hashing=hashing)
        integrator.append(entries)
        integrator.flush()
        root = integrator.root()
        integrator.close()
        verifier = VerifierKey(log.origin, self.key.public_key().public_bytes_raw())
        note = sign_checkpoint(Checkpoint(log.origin, len(entries), root), [(verifier, self.key.sign)])
        write_log_keys(directory, log.origin, [LogKey(verifier)])
        write_export(self.place.exports, log.origin, note)
        write_durably(directory / CHECKPOINT_FILE, note)
        self.records.heads[log.origin] = (len(entries), root)

    def renewed(self, hashing: TreeHash) -> LogSettings:
        return prepare(self.place, last_head(self.place, self.log, self.records), hashing)

    def keys(self, log: LogSettings | EndedLogSettings) -> tuple[LogKey, ...]:
        verifier = VerifierKey(log.origin, self.key.public_key().public_bytes_raw())
        return tuple(LogKey(verifier, one.from_size, one.until_size) for one in log.keys)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1_000, 66_000])
@pytest.mark.parametrize("hashing", [SHA512, SM3])
def test_the_tree_over_an_ended_log(tmp_path: Path, size: int, hashing: TreeHash) -> None:
    kept = Kept(tmp_path, size)
    ended, new = log_directory(kept.place.logs, ORIGIN), tmp_path / "new"
    old, renewed = write_predecessor(ended, ORIGIN, size, new, hashing)
    assert old == kept.records.heads[ORIGIN][1]
    if size <= 1_000:
        assert renewed == oracle.mth(kept.records.entries, hashing.new)
    assert PredecessorTiles(ended, ORIGIN, size, new, hashing).root() == renewed
    assert write_predecessor(ended, ORIGIN, size, new, hashing) == (old, renewed)


@pytest.mark.parametrize("size", [1, 300])
def test_every_entry_goes_on(tmp_path: Path, size: int) -> None:
    kept = Kept(tmp_path, size)
    log = kept.renewed(SHA512)
    directory = log_directory(kept.place.logs, log.origin)
    successor, first = read_successor(directory, SHA512)
    source = EraSource(kept.records, eras_of(log)[-1], first)
    kept.records.entries += [hashlib.sha512(b"new %d" % number).digest() for number in range(3)]
    entries = [source.leaves("bank", index, 1) for index in range(4)]
    assert entries == [first, *kept.records.entries[size:]]
    assert source.leaves("bank", 0, 9) == b"".join(entries)
    kept.sign(log, entries)
    line = Line(kept.place.logs, kept.place.cosigned, log)
    keys = {ORIGIN: kept.keys(log.ended[0]), log.origin: kept.keys(log)}
    for number in {0, size // 2, size - 1}:
        placed = line.place(number)
        assert (placed.log.origin, placed.index) == (ORIGIN, number)
        found = line.continuation(placed, kept.records.entries[number])
        assert found is not None
        verify_continuation(Continuation.parse(found), kept.records.entries[number], ORIGIN, keys, {log.origin: ORIGIN})
    placed = line.place(size)
    assert (placed.log.origin, placed.index) == (log.origin, 1)
    assert line.continuation(placed, entries[1]) is None
    assert not list(check_successor(kept.place.logs, eras_of(log)[0], keys[ORIGIN], eras_of(log)[1]))
    with pytest.raises(LogDamaged):
        line.continuation(line.place(0), bytes(32))
    assert successor.predecessor().size == size


def test_a_crash_before_the_switch_leaves_the_old_log_and_can_be_repeated(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 300)
    first = kept.renewed(SHA512)
    # Nothing of the old log was touched; it grows on, and ends later.
    kept.records.entries += [hashlib.sha256(b"more %d" % number).digest() for number in range(300)]
    kept.sign(kept.log, kept.records.entries)
    second = kept.renewed(SHA512)
    assert (first.ended[0].size, second.ended[0].size) == (300, 600)
    directory = log_directory(kept.place.logs, second.origin)
    successor, _ = read_successor(directory, SHA512)
    ended = log_directory(kept.place.logs, ORIGIN)
    assert PredecessorTiles(ended, ORIGIN, 600, directory, SHA512).root() == successor.root(SHA512)
    keys = kept.keys(second.ended[0])
    assert not list(check_successor(kept.place.logs, eras_of(second)[0], keys, eras_of(second)[1]))


def test_what_is_not_renewed(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 300)
    kept.records.entries.append(bytes(32))
    with pytest.raises(NotRenewable, match="not under its last head"):
        kept.renewed(SHA512)
    kept.records.entries.pop()
    with pytest.raises(NotRenewable, match="was under sha256 before"):
        kept.renewed(SHA256)
    size, root = kept.records.heads[ORIGIN]
    kept.records.heads[ORIGIN] = (size + 1, root)
    with pytest.raises(NotRenewable, match="recorded"):
        kept.renewed(SHA512)
    kept.records.heads[ORIGIN] = (size, root)
    directory = log_directory(kept.place.logs, ORIGIN)
    bundle = directory / "tile/entries/000"
    right = bundle.read_bytes()
    bundle.write_bytes(right[:5] + bytes([right[5] ^ 1]) + right[6:])
    with pytest.raises(LogDamaged, match="do not give the root"):
        kept.renewed(SHA512)
    bundle.write_bytes(right)
    (directory / CHECKPOINT_FILE).rename(directory / "away")
    with pytest.raises(NotRenewable, match="no signed head"):
        kept.renewed(SHA512)
    (directory / "away").rename(directory / CHECKPOINT_FILE)
    renewed = kept.renewed(SHA512)
    kept.sign(renewed, [bytes(64)])
    with pytest.raises(NotRenewable, match="already"):
        kept.renewed(SHA512)


def test_changed_files_of_a_successor_are_found(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 66_000)
    log = kept.renewed(SHA512)
    eras, keys = eras_of(log), kept.keys(log.ended[0])
    directory = log_directory(kept.place.logs, log.origin)
    for path in (directory / SUCCESSOR_FILE, directory / PREDECESSOR / "tile/2/000.p/1"):
        right = path.read_bytes()
        path.write_bytes(right[:-20] + bytes([right[-20] ^ 1]) + right[-19:])
        assert list(check_successor(kept.place.logs, eras[0], keys, eras[1])), path
        path.write_bytes(right)
    assert not list(check_successor(kept.place.logs, eras[0], keys, eras[1]))


def test_a_key_that_was_being_rotated_away_does_not_go_on() -> None:
    def key(name: str, first: int, last: int | None) -> LogKeySettings:
        uri = f"pkcs11:object={name}"
        return LogKeySettings(key_uri=uri, token="bank", name=ORIGIN, from_size=first, until_size=last)

    log = LogSettings(origin=ORIGIN, tenant="bank", keys=[key("old", 0, 90), key("new", 50, None)])
    made = following(log, 100, f"{ORIGIN}/sha512")
    uris = ["pkcs11:object=old", "pkcs11:object=new"]
    assert [(one.key_uri, one.until_size) for one in made.ended[0].keys] == list(zip(uris, [90, 100], strict=True))
    assert [(one.key_uri, one.name, one.from_size, one.until_size) for one in made.keys] == [
        (uris[1], f"{ORIGIN}/sha512", 0, None)
    ]
    with pytest.raises(NotRenewable, match="no key"):
        following(LogSettings(origin=ORIGIN, tenant="bank", keys=[key("old", 0, 90)]), 100, f"{ORIGIN}/sha512")


@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.integers(0, 300))
def test_every_record_stands_in_one_log(sizes: list[int], number: int) -> None:
    """Against a plain count: each log after the first has one leaf that is no record."""
    log = LogSettings(origin="log.example/0", tenant=None, keys=[LogKeySettings(key_uri=KEY, token="box", name="k")])
    plain: list[tuple[str, int]] = []
    for place, size in enumerate(sizes):
        plain += [(log.origin, index) for index in range(0 if place == 0 else 1, size)]
        log = following(log, size, f"log.example/{place + 1}")
    era = era_of(eras_of(log), number)
    if number < len(plain):
        assert (era.origin, number - era.base) == plain[number]
    else:
        assert (era.origin, number - era.base) == (log.origin, number - len(plain) + 1)
    with pytest.raises(NotFound):
        era_of(eras_of(log), -1)


def test_a_successor_is_held_to_the_log(tmp_path: Path) -> None:
    kept = Kept(tmp_path, 10)
    log = kept.renewed(SHA512)
    successor, _ = read_successor(log_directory(kept.place.logs, log.origin), SHA512)
    reader = LogReader.of(kept.place.logs, ORIGIN)

    def roots(size: int, hashing: TreeHash) -> tuple[bytes, bytes]:
        entries = kept.records.entries[:size]
        return oracle.mth(entries), oracle.mth(entries, hashing.new)

    assert verify_successor(successor, ORIGIN, kept.keys(log.ended[0]), SHA512, roots).size == 10
    assert reader.checkpoint().decode() == successor.checkpoint
