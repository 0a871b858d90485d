"""Successors and continuations of logs: what holds, and what must not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.note import VerifierKey
from appliance.log.successor import (
    Continuation,
    Successor,
    last_size,
    parse_successor,
    verify_continuation,
    verify_successor,
)
from appliance.tree_hash import SHA256, SHA512, SM3, TreeHash
from firmware_tests.log.renewed import NEW, NEWEST, OLD, Log, continued, line


def check(logs: list[Log], continuation: Continuation, entry: bytes, **changed: Any) -> Any:
    keys = {one.origin: one.keys for one in logs}
    succeeds = {then.origin: one.origin for one, then in itertools.pairwise(logs)}
    asked = {"origin": OLD, "keys": keys, "succeeds": succeeds} | changed
    return verify_continuation(continuation, entry, asked["origin"], asked["keys"], asked["succeeds"])


sizes = st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))


@given(sizes, st.booleans(), st.data())
def test_every_entry_goes_on(sizes: tuple[int, int, int], twice: bool, draw: st.DataObject) -> None:
    logs = line(sizes if twice else sizes[:2])
    index = draw.draw(st.integers(0, sizes[0] - 1))
    continuation = continued(logs, index)
    assert Continuation.parse(continuation.encode()) == continuation
    found = check(logs, continuation, logs[0].entries[index])
    assert (found.index, found.origin, found.head.size) == (index, logs[-1].origin, len(logs[-1].entries))
    assert [one.size for one in found.ended] == list(sizes[: len(logs) - 1])
    other = logs[0].entries[(index + 1) % sizes[0]] if sizes[0] > 1 else b"x" * 32
    with pytest.raises(ProofInvalid):
        check(logs, continuation, other)


@given(sizes, st.sampled_from([SHA512, SM3]))
def test_the_successor_is_what_the_old_entries_give(sizes: tuple[int, int, int], hashing: TreeHash) -> None:
    old = line(sizes)[0]
    successor = old.successor(hashing)
    assert parse_successor(successor.encode()) == successor
    assert verify_successor(successor, OLD, old.keys, hashing, old.roots).size == sizes[0]
    other = Log(OLD, [bytes(32), *old.entries[1:]], old.key)
    with pytest.raises(ProofInvalid):
        verify_successor(successor, OLD, old.keys, hashing, other.roots)
    lying = Successor(checkpoint=successor.checkpoint, tree=bytes(hashing.size).hex())
    with pytest.raises(ProofInvalid, match="successor states"):
        verify_successor(lying, OLD, old.keys, hashing, old.roots)


def test_a_successor_of_another_checkpoint() -> None:
    old = line((9, 4))[0]
    stranger = Log(OLD, old.entries)
    for checkpoint, error in (
        (stranger.head(), SignatureInvalid),
        (replace(old, origin="log.example/other").head(), SignatureInvalid),
        (old.head(0), ProofInvalid),
        (b"no note", MalformedNote),
    ):
        wrong = Successor(checkpoint=checkpoint.decode(), tree=old.root(9, SHA512).hex())
        with pytest.raises(error):
            verify_successor(wrong, OLD, old.keys, SHA512, old.roots)
    with pytest.raises(MalformedProof, match="not of sha512"):
        verify_successor(old.successor(SM3), OLD, old.keys, SHA512, old.roots)
    same = Successor(checkpoint=old.head().decode(), tree=old.root(9, SHA256).hex())
    with pytest.raises(ProofInvalid, match="another hash"):
        verify_successor(same, OLD, old.keys, SHA256, old.roots)


def test_a_successor_that_leaves_the_last_entries_out() -> None:
    """Its head was signed, and its tree is right, but the log is known to have ended later."""
    logs = line((9, 4))
    old, new = logs
    short = Log(OLD, old.entries[:7], old.key)
    successor = Successor(checkpoint=old.head(7).decode(), tree=short.root(7, SHA512).hex())
    new.entries[0] = successor.entry(SHA512)
    continuation = continued([short, new], 3)
    with pytest.raises(ProofInvalid, match="ended"):
        check(logs, continuation, old.entries[3])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda value: value["steps"][0].update(index=4), ProofInvalid),
        (lambda value: value["steps"][0]["hashes"].pop(), ProofInvalid),
        (lambda value: value["steps"][0].update(origin=NEWEST), SignatureInvalid),
        (lambda value: value["steps"][0].update(origin=OLD), SignatureInvalid),
        (lambda value: value["steps"][0].update(successor=value["steps"][0]["successor"] + " "), MalformedProof),
        (lambda value: value["steps"].append(value["steps"][0]), SignatureInvalid),
        (lambda value: value.update(tlog_proof="x"), MalformedProof),
    ],
)
def test_changed_continuations(change: Callable[[Any], object], error: type[Exception]) -> None:
    logs = line((9, 4))
    value = json.loads(continued(logs, 3).encode())
    change(value)
    changed = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with pytest.raises(error):
        check(logs, Continuation.parse(changed), logs[0].entries[3])


def test_a_successor_elsewhere_than_first_is_none() -> None:
    logs = line((9, 4))
    old, new = logs
    new.entries[0], new.entries[2] = new.entries[2], new.entries[0]
    moved = Continuation(steps=[old.step(3, NEW)], tlog_proof=new.proof(2))
    with pytest.raises(ProofInvalid, match="first entry"):
        check(logs, moved, old.entries[3])


def test_a_log_that_has_not_ended_or_is_not_known_has_no_continuation() -> None:
    logs = line((9, 4))
    continuation, entry = continued(logs, 3), logs[0].entries[3]
    keys = {one.origin: one.keys for one in logs}
    with pytest.raises(SignatureInvalid):
        check(logs, continuation, entry, succeeds={})
    with pytest.raises(SignatureInvalid):
        check(logs, continuation, entry, keys={OLD: keys[OLD]})
    logs[0].ended = False
    with pytest.raises(ProofInvalid, match="ended"):
        check(logs, continuation, entry)


@given(st.binary(max_size=200))
def test_anything_else_is_malformed(data: bytes) -> None:
    for read in (parse_successor, Continuation.parse):
        with pytest.raises(MalformedProof):
            read(data)


@pytest.mark.parametrize(
    "text",
    [
        '{"checkpoint":"x","format":"cinnabar-log-successor/2","tree":"%s"}' % ("00" * 64),
        '{"checkpoint":"x","format":"cinnabar-log-successor/1","tree":"%s"}' % ("AA" * 64),
        '{"checkpoint":"x","format":"cinnabar-log-successor/1","tree":"%s"}' % ("00" * 48),
        '{"format":"cinnabar-log-successor/1","checkpoint":"x","tree":"%s"}' % ("00" * 64),
        '{"checkpoint":"x","format":"cinnabar-log-successor/1","more":1,"tree":"%s"}' % ("00" * 64),
    ],
)
def test_a_successor_has_one_spelling(text: str) -> None:
    with pytest.raises(MalformedProof):
        parse_successor(text.encode())


def test_where_a_log_has_ended() -> None:
    key = VerifierKey(OLD, bytes(32))
    assert last_size([]) is None
    assert last_size([LogKey(key, 0, 5), LogKey(key, 3, None)]) is None
    assert last_size([LogKey(key, 0, 5), LogKey(key, 3, 9)]) == 9
