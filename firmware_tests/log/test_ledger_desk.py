"""The signing desk of the log follower: fields in, a signed transaction out, its rows first, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from coincurve import PublicKey

from appliance.anchorer.desk_client import DeskClient, DeskUnavailable
from appliance.anchors import commitment_of
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.scripts import payment_script
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Output, Transaction
from appliance.box.ledgers import AccountSettings, BitcoinLedgerSettings, Rfc3161Authority, Rfc3161LedgerSettings
from appliance.calls.client import CallClient
from appliance.errors import BadRequest, NotFound
from appliance.log import Checkpoint, LogReader, Note, parse_note
from appliance.log.errors import LogLocked
from appliance.log.ledger_desk import BURST, CALLS_A_SECOND
from appliance.log.ledgers import BitcoinRequest, RequestRefused
from appliance.log.ledgers.bitcoin import BitcoinCoin
from appliance.recorder.admin import AdminClient
from firmware_tests.anchorer.made import head
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of, wait_for
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
from hsm.keys import generate_key_pair

LEDGER = BitcoinLedgerSettings(
    name="chain",
    profile="ledgers/ledger-chain.json",
    account=AccountSettings(token="box", key_uri="pkcs11:object=chain-account", transactions_per_hour=4),
    address_prefix="rltc",
    url="http://127.0.0.1:1/",
    password_file="password",
    most_fee=10_000,
)
STAMPS = Rfc3161LedgerSettings(name="stamps", profile="p", authorities=[Rfc3161Authority(url="http://127.0.0.1:1/")])


@pytest.fixture
def desk(box: Box) -> DeskClient:
    """Of a running follower with a head."""
    token_settings = box.settings.tokens[0]
    pin = PinFile(box.home.root / token_settings.pin_file)
    token = open_token(Pkcs11Uri.parse(token_settings.uri), pin, LaneSettings())
    generate_key_pair(token, "chain-account", "ecdsa-secp256k1-sha256")
    token.close()
    box.settings = msgspec.structs.replace(box.settings, ledgers=[LEDGER, STAMPS])
    box.write()
    box.start_follower()
    box.wait_for_size(BOX_ORIGIN, 1)
    return DeskClient(box.home.ledger_desk_socket)


def _request(box: Box, coins: int = 1, **changed: Any) -> BitcoinRequest:
    note = LogReader(box.directory(BOX_ORIGIN)).checkpoint()
    spent = [BitcoinCoin(txid="ab" * 32, index=0, amount=1_000_000)] if coins == 1 else _shown(box, coins)
    return BitcoinRequest(**{"ledger": "chain", "checkpoint": note, "coins": spent, "fee": 500, **changed})


def _shown(box: Box, coins: int) -> list[BitcoinCoin]:
    """Coins of the account with the transaction that made them."""
    script = payment_script(asyncio.run(DeskClient(box.home.ledger_desk_socket).account("chain")))
    paid = Transaction((Input(OutPoint(bytes(32), 0)),), tuple(Output(1_000_000, script) for _ in range(coins)))
    return [
        BitcoinCoin(txid=shown(paid.txid), index=index, amount=1_000_000, made_by=paid.stripped())
        for index in range(coins)
    ]


def _rows(box: Box) -> list[bytes]:
    with AdminClient(box.home.admin_socket) as admin:
        rows = admin.query("housekeeping_after", 0, 10_000)
    return [row[5] for row in rows if row[1] == "chain-transaction"]


def test_a_transaction_over_a_head_of_its_own_log_is_signed_and_on_record(box: Box, desk: DeskClient) -> None:
    request = _request(box, coins=2)
    raw = asyncio.run(desk.sign(request))
    public = asyncio.run(desk.account("chain"))
    assert len(public) == 33
    PublicKey(public)  # a point of secp256k1, as another library reads it
    assert commitment_of(request.checkpoint) in raw
    wait_for(lambda: len(_rows(box)) == 2, "two signatures, two rows")
    assert _rows(box) == [bytes((place,)) + raw for place in range(2)]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"fee": 10_001}, RequestRefused),
        ({"checkpoint": head(5).checkpoint}, RequestRefused),
        ({"checkpoint": b"no note"}, RequestRefused),
        ({"ledger": "stamps"}, NotFound),
        ({"ledger": "other"}, NotFound),
        ({"fee": 999_999}, RequestRefused),
    ],
)
def test_what_is_outside_of_the_bounds_is_not_signed(
    box: Box, desk: DeskClient, changed: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        asyncio.run(desk.sign(_request(box, **changed)))
    assert _rows(box) == []


def test_a_head_that_somebody_else_signed_or_altered_is_not_signed_over(box: Box, desk: DeskClient) -> None:
    note = parse_note(LogReader(box.directory(BOX_ORIGIN)).checkpoint())
    stated = Checkpoint.parse(note.text)
    others = [
        Note(replace(stated, size=stated.size + 1).text(), note.signatures),
        Note(replace(stated, origin=origin_of("alfa")).text(), note.signatures),
        Note(note.text, (replace(note.signatures[0], signature=bytes(64)),)),
        Note(note.text, (replace(note.signatures[0], key_id=b"abcd"),)),
    ]
    for other in others:
        with pytest.raises(RequestRefused):
            asyncio.run(desk.sign(_request(box, checkpoint=other.encode())))
    assert _rows(box) == []


def test_bytes_to_be_signed_are_nothing_that_can_be_asked(box: Box, desk: DeskClient) -> None:
    class Client(CallClient):
        pass

    for method, argument in (
        ("sign", {"type": "bitcoin", "ledger": "chain", "digest": bytes(32)}),
        ("sign", {"type": "raw", "ledger": "chain"}),
        ("sign", bytes(32)),
        ("sign_digest", bytes(32)),
    ):
        with Client(box.home.ledger_desk_socket) as client, pytest.raises((BadRequest, NotFound)):
            client.call(method, argument)
    assert _rows(box) == []


def test_within_an_hour_no_more_are_signed_than_the_settings_say(box: Box, desk: DeskClient) -> None:
    for _ in range(4):
        asyncio.run(desk.sign(_request(box)))
    with pytest.raises(RequestRefused, match="within the hour"):
        asyncio.run(desk.sign(_request(box)))
    assert len(_rows(box)) == 4


def test_a_locked_history_signs_nothing(box: Box, desk: DeskClient) -> None:
    request = _request(box)
    box.home.history_lock.write_text("a test")
    with pytest.raises(LogLocked):
        asyncio.run(desk.sign(request))
    assert _rows(box) == []


def test_strangers_are_shown_the_door(box: Box, desk: DeskClient) -> None:
    assert os.geteuid() == 0, "this test connects as another user and must run as root"
    box.home.ledger_desk_socket.chmod(0o666)
    for directory in box.home.ledger_desk_socket.relative_to("/").parents:
        place = Path("/") / directory
        if place != Path("/") and place.stat().st_mode & 0o001 == 0:
            place.chmod(place.stat().st_mode | 0o011)
    ask = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]);"
        "s.sendall(b'\\0\\0\\0\\0'); print(len(s.recv(10)))"
    )
    said = subprocess.run(
        (sys.executable, "-c", ask, str(box.home.ledger_desk_socket)),
        user=65_534, group=65_534, extra_groups=[], check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    cut_off = any(error in said.stderr for error in ("ConnectionResetError", "BrokenPipeError"))
    assert said.stdout.strip() == "0" or cut_off, said


def test_killed_at_work_every_transaction_that_was_handed_out_is_on_record(box: Box, desk: DeskClient) -> None:
    settings = msgspec.structs.replace(
        LEDGER, account=msgspec.structs.replace(LEDGER.account, transactions_per_hour=10_000)
    )
    box.settings = msgspec.structs.replace(box.settings, ledgers=[settings])
    box.write()
    box.stop(box.processes[-1], signal.SIGKILL)
    handed_out: list[bytes] = []
    for _ in range(3):
        follower = box.start_follower()
        wait_for(lambda: _answers(desk), "the desk is up", more=box.errors)

        async def ask() -> None:
            for _ in range(20):
                handed_out.append(await desk.sign(_request(box)))

        enough = len(handed_out) + 3

        async def until_killed() -> None:
            asking = asyncio.create_task(ask())
            while len(handed_out) < enough and not asking.done():  # noqa: B023 - it runs before the next turn
                await asyncio.sleep(0.001)
            follower.kill()  # noqa: B023
            with contextlib.suppress(DeskUnavailable):  # or it was quicker than its death
                await asking

        asyncio.run(until_killed())
        follower.wait(20)
    assert handed_out
    rows = _rows(box)
    assert [one for one in handed_out if b"\0" + one not in rows] == []


def test_who_calls_without_end_does_not_keep_heads_from_being_made(box: Box, desk: DeskClient) -> None:
    request, begun = _request(box, fee=10_001), time.monotonic()
    told: list[str] = []

    def flood() -> None:
        while time.monotonic() < begun + 4:
            try:
                asyncio.run(desk.sign(request))
            except RequestRefused as error:
                told.append(str(error))

    with ThreadPoolExecutor(4) as threads:
        flooding = [threads.submit(flood) for _ in range(4)]
        size = box.append("alfa", 50) + 50
        assert box.wait_for_size(origin_of("alfa"), size).size == size
        for one in flooding:
            one.result(60)
    assert len(told) <= BURST + 1 + CALLS_A_SECOND * (time.monotonic() - begun)
    assert any("calls come in a second" in one for one in told)
    assert _rows(box) == []


def _answers(desk: DeskClient) -> bool:
    try:
        return bool(asyncio.run(desk.account("chain")))
    except DeskUnavailable:
        return False
