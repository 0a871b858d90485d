"""The filer by itself, before an authority with every bad habit: bounded, nothing followed, no strangers served."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.box.probe import NoAnswer, beat
from appliance.calls.framing import frame
from appliance.calls.sockets import unix_listener
from appliance.filer import Answer, Errand, client, run_errand
from appliance.filer.messages import ERRAND_BYTES
from appliance.filer.server import Filer
from appliance.filing import NotAnswered, ReceiptRefused, read_adapter, read_receipt
from appliance.filing.adapter import Later
from appliance.filing.later import address_of, look_from, next_look, read_ticket
from firmware_tests.filing.authority import Authority, ticket_of
from firmware_tests.gateway.partner import b64u

LATER = Later(
    ticket="ticket", url="https://fund.example/receipts?of=", event="take", states=["pending"], until="by", days=1
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made = Authority(tmp_path_factory.mktemp("authority"))
    yield made
    made.close()


def _errand(authority: Authority, timeout_s: int = 5, **changed: object) -> Errand:
    told = read_adapter(authority.adapter().encode()).adapter.authority
    message = f"h.{b64u(json.dumps({'requestNo': 'n', 'batchNo': 'b'}).encode())}.s".encode()
    return msgspec.structs.replace(Errand("POST", told.url, told.ca, "n", message, timeout_s), **changed)


async def _asked(place: Path, errand: Errand, hosts: set[str], users: frozenset[int] = frozenset({0})) -> Answer:
    filer = Filer(hosts, users)
    await filer.start(place / "filer" / "errands.sock")
    try:
        return await run_errand(place / "filer" / "errands.sock", errand)
    finally:
        await filer.stop()


def test_an_answer_comes_back_as_it_came_whatever_it_is(authority: Authority, tmp_path: Path) -> None:
    errand, hosts = _errand(authority), {authority.host}
    answer = asyncio.run(_asked(tmp_path, errand, hosts))
    assert (answer.status, answer.body) == (200, authority.receipts["n"])
    assert read_receipt(read_adapter(authority.adapter().encode()), answer.body, "n").event == "accept"
    came = len(authority.requests)
    for habit, told in (("elsewhere", 307), ("busy", 503), ("refuse", 422)):
        authority.habits[:] = [habit]
        assert asyncio.run(_asked(tmp_path, errand, hosts)) == Answer(told, b"")
    assert len(authority.requests) == came + 3, "nothing is followed"
    authority.habits[:] = ["zipped"]
    zipped = gzip.compress(bytes(16 << 20), mtime=0)
    assert asyncio.run(_asked(tmp_path, errand, hosts)).body == zipped, "nothing is unpacked"
    authority.habits[:] = ["later"]
    assert read_ticket(LATER, asyncio.run(_asked(tmp_path, errand, hosts)).body) == ticket_of("n")


@pytest.mark.parametrize("habit", ["huge", "cut", "drop", "drip"])
def test_an_authority_that_does_not_answer_within_bounds_does_not_answer(
    authority: Authority, tmp_path: Path, habit: str
) -> None:
    authority.habits[:] = [habit]
    with pytest.raises(NotAnswered):
        asyncio.run(_asked(tmp_path, _errand(authority, 1), {authority.host}))


def test_it_speaks_to_the_hosts_that_the_operator_lists_and_believes_the_adapters_ca_alone(
    authority: Authority, tmp_path: Path
) -> None:
    came = len(authority.requests)
    stranger = (authority.directory / "receipts.crt").read_text()
    for errand, hosts in (
        (_errand(authority), {"localhost:1", "fund.example:443"}),
        (_errand(authority, url=f"https://{authority.host}.fund.example/"), {authority.host}),
        (_errand(authority, ca=stranger), {authority.host}),
        (_errand(authority, ca="no PEM"), {authority.host}),
    ):
        with pytest.raises(NotAnswered):
            asyncio.run(_asked(tmp_path, errand, hosts))
    assert len(authority.requests) == came


def test_only_its_callers_are_served_and_only_errands(authority: Authority, tmp_path: Path) -> None:
    errand, hosts = _errand(authority), {authority.host}
    with pytest.raises(NotAnswered, match="the filer does not answer"):
        asyncio.run(_asked(tmp_path, errand, hosts, frozenset({60_999})))
    plain = msgspec.msgpack.encode(msgspec.structs.astuple(msgspec.structs.replace(errand, url="http://localhost/")))
    too_long = (ERRAND_BYTES + 1).to_bytes(4, "big")

    async def say(said: bytes) -> bytes:
        filer = Filer(hosts, frozenset({0}))
        await filer.start(tmp_path / "filer" / "errands.sock")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "filer" / "errands.sock")
        writer.write(said)
        try:
            return await reader.read()
        finally:
            writer.close()
            await filer.stop()

    for said in (frame(b"\xc1"), frame(plain), too_long, frame(msgspec.msgpack.encode(["POST"]))):
        assert asyncio.run(say(said)) == b""


def test_what_nobody_waits_for_any_more_is_given_up(authority: Authority, tmp_path: Path) -> None:
    authority.habits[:] = ["drip"]
    authority.left.clear()

    async def leave() -> bool:
        filer = Filer({authority.host}, frozenset({0}))
        place = tmp_path / "filer" / "errands.sock"
        await filer.start(place)
        came = len(authority.requests)
        asking = asyncio.ensure_future(run_errand(place, _errand(authority, 86_400)))
        while len(authority.requests) == came:
            await asyncio.sleep(0.02)
        asking.cancel()
        left = await asyncio.to_thread(authority.left.wait, 30)
        await filer.stop()
        return left

    assert asyncio.run(leave())


def test_a_filer_that_is_away_or_silent_is_no_answer_and_has_no_pulse(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GRACE_SECONDS", -0.8)
    monkeypatch.setattr("appliance.box.probe.ASK_SECONDS", 0.2)

    async def pulse() -> None:
        filer = Filer(set(), frozenset({0}))
        await filer.start(tmp_path / "filer" / "errands.sock")
        await beat(tmp_path / "filer" / "errands.sock")
        await filer.stop()

    asyncio.run(pulse())
    silent = tmp_path / "silent.sock"
    listener: socket.socket = unix_listener(silent)
    with listener:
        with pytest.raises(NotAnswered, match="silent"):
            asyncio.run(run_errand(silent, _errand(authority, 1)))
        with pytest.raises(NoAnswer):
            asyncio.run(beat(silent))
    with pytest.raises(NotAnswered, match="FileNotFoundError"):
        asyncio.run(run_errand(tmp_path / "away.sock", _errand(authority, 1)))


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b'{"other": "T"}', b'{"ticket": 7}', b'{"ticket": ""}', b'{"ticket": "../filings"}',
     b'{"ticket": "a/b"}', b'{"ticket": "a?b"}', b'{"ticket": "a#b"}', b'{"ticket": "a%2e"}', b'{"ticket": "a\\nb"}',
     b'{"ticket": "T", "ticket": "U"}', b'{"ticket": "%s"}' % (b"a" * 201), b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_a_ticket_that_could_lead_elsewhere_is_none(said: bytes) -> None:
    with pytest.raises(ReceiptRefused):
        read_ticket(LATER, said)
    with pytest.raises(ReceiptRefused):
        address_of(LATER, said.decode("latin-1"))


@given(st.integers(1, 86_400), st.integers(1, 86_400), st.integers(0, 10**7), st.integers(0, 10**7))
def test_looks_come_ever_more_seldom_and_are_the_same_for_whoever_asks(
    first: int, most: int, passed: int, further: int
) -> None:
    later = msgspec.structs.replace(LATER, first_s=first, most_s=most)
    since = 1_700_000_000_000_000
    now = since + passed * 1_000_000
    found = next_look(later, since, now)
    assert now < found <= now + max(first, most) * 1_000_000
    assert (found - since) % 1_000_000 == 0
    between = min(now + further * 1_000_000, found - 1)
    assert next_look(later, since, between) == found, "no look is left out, none is made twice"
    assert next_look(later, since, since) == since + first * 1_000_000 == look_from(later, since, since)
    assert look_from(later, since, found) == max(found, since + first * 1_000_000), "at once where one has passed"
