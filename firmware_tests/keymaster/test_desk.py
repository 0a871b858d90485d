"""The desk's socket: whoever lies there in any field gets a refusal, and the keymaster stands."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from appliance.calls.framing import frame
from appliance.ceremonies import Constitution, decode, encode
from appliance.ceremonies.actions import GenerateKey
from appliance.errors import BadRequest, CinnabarError, NotFound
from appliance.keymaster.client import DeskClient, DeskUnavailable
from appliance.keymaster.console.server import Console
from appliance.keymaster.registry import StepResult
from firmware_tests.keymaster.room import Bench, Life
from firmware_tests.keymaster.served import ServedLife, Sockets
from firmware_tests.running import wait_until

METHODS = (
    *("status", "constitution", "draft", "submit", "proposals", "proposal", "state", "execute"),
    *("transcript", "candidates", "invite", "found", "code", "answer"),
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


class Served(ServedLife):
    """A life whose desk and console are served from a loop in a thread."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.path, self.console = bench.home.root / "desk.sock", bench.home.root / "console.sock"

    async def sockets(self, life: Life) -> Sockets:
        await life.found()
        console = Console(life.engine, life.executions).methods()
        return {self.path: ("desk", life.desk.methods(), 0o666), self.console: ("console", console, 0o600)}

    def client(self) -> DeskClient:
        return DeskClient(self.path, 20)


@pytest.fixture
def served(bench: Bench, executors: dict[type, object]) -> Iterator[Served]:
    async def make(ctx: object, action: object) -> StepResult:
        return StepResult({"made": True}, {"public.der": b"\0\1"})

    executors[GenerateKey] = (make, None)
    with Served(bench) as made:
        yield made


ACTIONS = msgspec.json.encode(
    [GenerateKey(tenant=None, token="box", key="k", scheme="ed25519", purpose="seal", until="2099-01-01T00:00:00Z")]
)


def test_a_ceremony_over_the_socket(served: Served) -> None:
    with served.client() as client:
        assert client.status()["founded"]
        text = client.draft("ann", "A key", "We need one", ACTIONS, 2)
        digest = client.submit(text)
        for verb, name in (("request", "ann"), ("approve", "bo"), ("approve", "cai")):
            shown = client.state_(encode(served.life.statement(digest, verb, name)))
        assert shown["state"] == "approved"
        assert client.execute(digest, 20.0)["state"] == "executed"
        assert [row["digest"] for row in client.proposals()] == [digest]
        assert client.proposal(digest)["steps"][0]["facts"] == {"made": True}
        transcript = client.transcript(digest)
        assert transcript["outputs"] == [{"step": 0, "name": "public.der", "data": b"\0\1"}]
        assert all(entry["leaf"] is not None for entry in transcript["entries"])
        law = client.constitution()
        assert client.constitution(decode(law, Constitution).digest) == client.constitution("0" * 64) == law
        assert client.candidates()
        assert len(client.invite("eve", "Eve")) == 32


def test_refusals_come_back_as_what_they_are(served: Served) -> None:
    with served.client() as client:
        for call, code in (
            (lambda: client.proposal("0" * 64), "not-found"),
            (lambda: client.proposal("x"), "bad-request"),
            (lambda: client.submit(b"{}"), "document-refused"),
            (lambda: client.state_(b"{}"), "document-refused"),
            (lambda: client.execute("0" * 64), "not-found"),
            (lambda: client.draft("eve", "A key", "We need one", ACTIONS, 2), "document-refused"),
            (lambda: client.call("found", "0" * 64, "a b c d"), "not-found"),
            (lambda: client.call("code", "x"), "not-found"),
            (lambda: client.call("__init__"), "not-found"),
            (lambda: client.call("status", 1), "bad-request"),
        ):
            with pytest.raises(CinnabarError) as caught:
                call()
            assert caught.value.code == code
        assert client.status()["founded"]


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(METHODS) | st.text(max_size=20),
    arguments=st.lists(JUNK, max_size=6),
)
def test_a_lie_in_any_field_is_refused_or_harmless(served: Served, method: str, arguments: list[object]) -> None:
    with served.client() as client:
        with contextlib.suppress(CinnabarError):
            client.call(method, *arguments)
        assert client.status()["open"] == 0


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=300))
def test_bytes_that_are_no_call_end_their_connection_only(served: Served, data: bytes) -> None:
    for sent in (data, frame(data), frame(msgspec.msgpack.encode([1, "status"])), b"\xff\xff\xff\xff" + data):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(served.path))
            connection.sendall(sent)
    with served.client() as client:
        assert client.status()["founded"]


@pytest.mark.parametrize("member", ["officer", "credential", "verb", "proposal", "evidence"])
def test_a_statement_with_any_member_changed_is_refused(served: Served, member: str) -> None:
    with served.client() as client:
        digest = client.submit(client.draft("ann", "A key", "We need one", ACTIONS, 2))
        other = client.submit(client.draft("ann", "A key", "Another", ACTIONS, 2))
        one, two = (served.life.statement(digest, "approve", name) for name in ("bo", "cai"))
        changes = {
            "officer": {"officer": "cai"},
            "credential": {"credential": two.credential},
            "verb": {"verb": "reject"},
            "proposal": {"proposal": other},
            "evidence": {"evidence": two.evidence},
        }[member]
        with pytest.raises(CinnabarError) as caught:
            client.state_(encode(msgspec.structs.replace(one, **changes)))
        assert caught.value.code == "statement-refused"
        assert client.proposal(digest)["statements"] == []


def test_what_a_step_waits_for_at_the_console_is_told(served: Served) -> None:
    with served.client() as client:
        digest, other = (
            client.submit(client.draft("ann", title, "We need one", ACTIONS, 2)) for title in ("A key", "Another")
        )
        line = served.life.room.console
        asked = asyncio.run_coroutine_threadsafe(line.ask(digest, 0, "The PIN", timeout_s=20), served.loop)
        wait_until(lambda: client.proposal(digest)["waiting"], what="the question")
        (told,) = client.proposal(digest)["waiting"]
        assert (told["kind"], told["prompt"]) == ("ask", "The PIN")
        assert client.proposal(other)["waiting"] == []
        served.loop.call_soon_threadsafe(line.answer, told["number"], "1234")
        assert asked.result(10) == "1234"
        assert client.proposal(digest)["waiting"] == []


def test_strangers_are_put_off(served: Served, tmp_path: Path) -> None:
    """The console is not for the service, whoever may come to the desk."""
    with served.client() as client, pytest.raises((NotFound, BadRequest)):
        client.call("prepare_founding", 1)
    with pytest.raises(DeskUnavailable):
        DeskClient(tmp_path / "nothing.sock")
