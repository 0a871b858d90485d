"""Who serves applications and asks the anchorer: a silent, dripping or lying one delays a few calls briefly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.anchorer.asking import CALL_SECONDS, SILENT_SECONDS, AnchorerAsking
from appliance.anchorer.client import AnchorerClient, AnchorerUnavailable
from appliance.anchorer.views import AnchorView
from appliance.anchors import Receipt, write_receipt
from appliance.api.letters.anchoring import AnchorSource
from appliance.box.settings import LogSettings
from appliance.calls.framing import frame
from appliance.calls.server import CallServer
from appliance.errors import CinnabarError, NotFound
from appliance.log.checkpoint import Checkpoint, LogKey, sign_checkpoint
from appliance.log.keys import write_log_keys
from appliance.log.lines import Line
from appliance.log.note import VerifierKey
from appliance.log.reader import log_directory

ORIGIN = "log.example/rehearsal/box"


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Callable[[Callable[[socket.socket], None]], Path]]:
    """Something that listens where the anchorer should, and does with each connection what a test says."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = tmp_path / "anchors.sock"
    listener.bind(str(path))
    held: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(behave: Callable[[socket.socket], None]) -> Path:
        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    threads.append(threading.Thread(target=behave, args=(connection,), daemon=True))
                    threads[-1].start()

        listener.listen(128)
        threading.Thread(target=accept, daemon=True).start()
        return path

    yield serve
    listener.close()
    for connection in held:
        connection.close()


def _silent(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(65_536):
            pass


def _dripping(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall((1_000_000).to_bytes(4, "big"))
        while True:
            connection.sendall(b"\x90")
            time.sleep(0.2)


@pytest.mark.parametrize("behave", [_silent, _dripping])
def test_many_who_ask_a_silent_anchorer_wait_once_and_briefly(
    hostile: Callable[[Callable[[socket.socket], None]], Path], behave: Callable[[socket.socket], None]
) -> None:
    asking = AnchorerAsking(hostile(behave))

    async def ask() -> tuple[float, float]:
        started = time.monotonic()
        waiting = [asyncio.ensure_future(asking.ask(AnchorerClient.ledgers)) for _ in range(40)]
        await asyncio.sleep(0)
        await asyncio.to_thread(time.monotonic)  # the threads of everybody else are free
        free = time.monotonic() - started
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in found} == {AnchorerUnavailable}
        waited = time.monotonic() - started
        with pytest.raises(AnchorerUnavailable, match="a moment ago"):
            await asking.ask(AnchorerClient.ledgers)
        return free, waited

    free, waited = asyncio.run(ask())
    assert free < CALL_SECONDS / 2
    # One after another they would wait forty times as long.
    assert waited < 3 * CALL_SECONDS


def test_a_refusal_and_an_empty_place_are_no_silence(tmp_path: Path) -> None:
    asking = AnchorerAsking(tmp_path / "anchors.sock")

    async def anchor(ledger: str, number: int) -> str:
        raise NotFound("no such anchor")

    async def ledgers() -> list[str]:
        return []

    async def run() -> None:
        for _ in range(3):
            with pytest.raises(AnchorerUnavailable, match="listens"):
                await asking.ask(AnchorerClient.ledgers)
        server = CallServer("anchorer", {"ledgers": ledgers, "anchor": anchor}, frozenset({os.geteuid()}))
        await server.start(tmp_path / "anchors.sock", 0o600)
        assert await asking.ask(AnchorerClient.ledgers) == []
        for _ in range(2):
            with pytest.raises(NotFound):
                await asking.ask(lambda client: client.anchor("chain", 1))
        await server.stop()

    asyncio.run(run())


def test_once_it_answers_again_it_is_asked_again(tmp_path: Path) -> None:
    asking = AnchorerAsking(tmp_path / "anchors.sock")
    answers = asyncio.Event()

    async def ledgers() -> list[str]:
        await answers.wait()
        return []

    async def run() -> None:
        server = CallServer("anchorer", {"ledgers": ledgers}, frozenset({os.geteuid()}))
        await server.start(tmp_path / "anchors.sock", 0o600)
        with pytest.raises(AnchorerUnavailable, match="TimeoutError"):
            await asking.ask(AnchorerClient.ledgers)
        for _ in range(50):
            started = time.monotonic()
            with pytest.raises(AnchorerUnavailable, match="a moment ago"):
                await asking.ask(AnchorerClient.ledgers)
            assert time.monotonic() - started < SILENT_SECONDS
        answers.set()
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(AnchorerUnavailable):
                    assert await asking.ask(AnchorerClient.ledgers) == []
                    break
                await asyncio.sleep(0.05)
        await server.stop()

    asyncio.run(run())


def test_a_slow_anchorer_is_waited_for_by_as_many_as_it_can_answer_in_time(
    hostile: Callable[[Callable[[socket.socket], None]], Path],
) -> None:
    def slow(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.recv(65_536)
            time.sleep(0.8 * CALL_SECONDS)
            connection.sendall(frame(msgspec.msgpack.encode([1, True, []])))

    asking = AnchorerAsking(hostile(slow))

    async def run() -> list[object]:
        return await asyncio.gather(*(asking.ask(AnchorerClient.ledgers) for _ in range(40)), return_exceptions=True)

    started = time.monotonic()
    found = asyncio.run(run())
    assert time.monotonic() - started < 4 * CALL_SECONDS
    assert {type(one) for one in found} == {list, AnchorerUnavailable}


@pytest.mark.parametrize("value", [7, [[1, 2]], {"a": 1}, [["x", b""]]])
def test_an_answer_of_another_form_is_none(
    hostile: Callable[[Callable[[socket.socket], None]], Path], value: object
) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(frame(msgspec.msgpack.encode([1, True, value])))

    asking = AnchorerAsking(hostile(answer))
    with pytest.raises(AnchorerUnavailable, match="another form"):
        asyncio.run(asking.ask(lambda client: client.covering(1, ORIGIN)))


# --- receipts that an anchorer hands out, and nobody can use ---------------------------------------------------------


def _view(number: int) -> AnchorView:
    return AnchorView(
        ledger="chain",
        number=number,
        size=7,
        commitment="00" * 32,
        state="final",
        since_us=0,
        cause="",
        due_us=0,
        superseded_by=None,
        strength="proven",
        time_us=0,
        no_later_us=0,
        place="",
        steps=[],
    )


def _receipt(note: bytes, ledger: str = "chain") -> bytes:
    return write_receipt(Receipt(checkpoint=note.decode(), ledger=ledger, proof=msgspec.Raw(b"{}"), type="evm"))


def test_receipts_about_what_the_boxs_log_never_signed_go_into_no_file(tmp_path: Path) -> None:
    own, foreign = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    verifier = VerifierKey(ORIGIN, own.public_key().public_bytes_raw())
    box = Line(tmp_path / "logs", tmp_path / "cosigned", LogSettings(origin=ORIGIN, tenant=None, keys=[]))
    directory = log_directory(tmp_path / "logs", ORIGIN)
    directory.mkdir(parents=True)
    write_log_keys(directory, ORIGIN, [LogKey(verifier)])
    good = sign_checkpoint(Checkpoint(ORIGIN, 7, bytes(32)), [(verifier, own.sign)])
    forged = sign_checkpoint(Checkpoint(ORIGIN, 9, bytes(32)), [(verifier, foreign.sign)])
    elsewhere = VerifierKey("log.example/other", own.public_key().public_bytes_raw())
    other = sign_checkpoint(Checkpoint("log.example/other", 9, bytes(32)), [(elsewhere, own.sign)])
    handed: list[Any] = [
        (_view(1), b"no receipt"),
        (_view(2), _receipt(forged)),
        (_view(3), _receipt(other)),
        (_view(4), _receipt(b"no note")),
        (_view(5), _receipt(good)),
        (_view(6), _receipt(good)),
        (_view(7), _receipt(good, "other")),
    ]

    async def covering(size: int, origin: str) -> Any:
        assert origin == ORIGIN
        return handed

    async def run(methods: dict[str, Any]) -> list[tuple[str, int, bytes]]:
        server = CallServer("anchorer", methods, frozenset({os.geteuid()}))
        path = tmp_path / "anchors.sock"
        await server.start(path, 0o600)
        found = await AnchorSource(box, AnchorerAsking(path)).covering(box.newest, 3)
        await server.stop()
        return [(one.ledger, one.size, one.encoded) for one in found]

    assert asyncio.run(run({"covering": covering})) == [
        ("chain", 7, _receipt(good)),
        ("other", 7, _receipt(good, "other")),
    ]

    async def refusing(size: int, origin: str) -> Any:
        raise CinnabarError("it broke")

    assert asyncio.run(run({"covering": refusing})) == []
