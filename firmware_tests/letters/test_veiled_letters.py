"""Veiled, hidden and federated fields over the API: submitted shut, opened by code after the time, used once by all."""

from __future__ import annotations

import datetime
import hashlib
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.client import Client, Refused
from appliance.letters.bid_code import new_code
from appliance.letters.envelope import Context
from appliance.letters.event import read_event
from appliance.letters.hidden import read_disclosure, reveal
from appliance.letters.kind import read_kind
from appliance.letters.veil import check_opening, key_id, read_envelope, veil
from firmware_tests.letters.kinds import OWN
from firmware_tests.running import RunningBox, cinnabar

PRICE = {"amount": "1234567.89", "currency": "CNY"}
DIGEST = read_kind((OWN / "sealed-bid.toml").read_bytes()).digest


def fields(opening_s: float, bidder: str = "甲公司") -> dict[str, Any]:
    opening = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=opening_s)
    return {
        "tender_code": f"T-{uuid.uuid4().hex[:12]}",
        "bidder": {"name": bidder},
        "opening": opening.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def veiled(client: Client, tender_code: str, code: str, tenant: str = "demo", value: object = PRICE) -> bytes:
    key = load_der_public_key(client.release_key().key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    context = Context(tenant=tenant, kind=DIGEST, field="price", reference=tender_code)
    return veil(rfc8785.dumps(value), context, key, code=code).envelope.encoded()


def unopened(box: RunningBox, client: Client) -> int:
    """As officers are told who would destroy the release key."""
    name = f"@veiled/{client.release_key().id}"
    with box.admin() as admin:
        return int(dict(admin.query("tallies", "demo", name)).get(name, 0))


def test_a_sealed_bid_opens_by_its_code_after_the_time_and_not_before(
    client: Client, letter_box: RunningBox, tmp_path: Path
) -> None:
    code, asked = new_code(), fields(4.0)
    envelope = veiled(client, asked["tender_code"], code)
    before = unopened(letter_box, client)
    submitted = client.begin_letter("sealed-bid", asked, envelopes={"price": envelope})
    letter = submitted.happened.letter
    assert unopened(letter_box, client) == before + 1, "what would be lost with the release key"
    standing = client.letter(letter)
    assert standing.encrypted == ["price"]
    assert standing.hidden == {"bidder": asked["bidder"]}
    assert b"1234567.89" not in submitted.happened.event
    assert "甲公司".encode() not in submitted.happened.event

    with pytest.raises(Refused, match="not before"):
        client.letter_event(letter, "open", codes={"price": code})
    time.sleep(4.0)
    with pytest.raises(Refused) as error:
        client.letter_event(letter, "open", codes={"price": new_code()})
    assert error.value.code == "wrong-code"
    with pytest.raises(Refused, match="/codes/price"):
        client.letter_event(letter, "open")
    opened = client.letter_event(letter, "open", codes={"price": code})
    event = read_event(opened.happened.event)
    assert event.fields == {"price": PRICE}
    assert unopened(letter_box, client) == before
    header = read_envelope(envelope).header
    assert check_opening(header.commitment, bytes.fromhex(event.opened["price"]), rfc8785.dumps(PRICE))
    assert event.previous == hashlib.sha256(submitted.happened.event).hexdigest()

    first = read_event(submitted.happened.event)
    (disclosure,) = submitted.happened.disclosures.values()
    assert reveal(first.hidden, [disclosure]) == {"bidder": asked["bidder"]}
    assert read_disclosure(disclosure).name == "bidder"

    path = tmp_path / "bid.asice"
    path.write_bytes(client.evidence(letter))
    verify = cinnabar("verify", str(path), "--trust", str(letter_box.home.trust), "--state", str(tmp_path / "state"))
    assert verify.returncode == 0, verify.stdout


def test_an_envelope_of_another_letter_or_tenant_is_refused(client: Client, other: Client) -> None:
    asked = fields(60)
    for envelope in (
        veiled(client, "another tender", new_code()),
        veiled(client, asked["tender_code"], new_code(), tenant="other"),
        veiled(other, asked["tender_code"], new_code()),
    ):
        with pytest.raises(Refused) as error:
            client.begin_letter("sealed-bid", asked, envelopes={"price": envelope})
        assert error.value.code == "envelope-elsewhere"
    with pytest.raises(Refused, match="/fields/price: it comes as an envelope"):
        client.begin_letter("sealed-bid", asked | {"price": PRICE})


def test_an_envelope_whose_platform_is_the_box_itself_is_refused(client: Client, other: Client) -> None:
    """Ours makes none; another sender's might, and the box could open it alone (control VEIL)."""
    asked = fields(60)
    key = load_der_public_key(client.release_key().key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    context = Context(tenant="demo", kind=DIGEST, field="price", reference=asked["tender_code"])
    platform = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = veil(rfc8785.dumps(PRICE), context, key, platform_key=platform).envelope
    for held in (key_id(key), other.release_key().id):  # another tenant's is in the same box
        own = msgspec.structs.replace(made, header=msgspec.structs.replace(made.header, platform=held))
        with pytest.raises(Refused, match="/platform: it is a key of the box") as error:
            client.begin_letter("sealed-bid", asked, envelopes={"price": own.encoded()})
        assert error.value.code == "envelope-elsewhere"
    client.begin_letter("sealed-bid", asked, envelopes={"price": made.encoded()})


def test_what_a_federation_uses_once_is_taken_for_every_member(client: Client, other: Client) -> None:
    asked = fields(60, bidder="乙公司")
    client.begin_letter("sealed-bid", asked, envelopes={"price": veiled(client, asked["tender_code"], new_code())})
    envelope = veiled(other, asked["tender_code"], new_code(), tenant="other")
    with pytest.raises(Refused) as error:
        other.begin_letter("sealed-bid", asked | {"bidder": {"name": " 乙公司"[1:]}}, envelopes={"price": envelope})
    assert (error.value.code, error.value.problem.detail) == ("taken", error.value.problem.detail)
    assert "demo" not in str(error.value.problem)


def test_an_envelope_for_named_recipients_is_read_where_nothing_can_be_taken(client: Client) -> None:
    asked = fields(60)
    with pytest.raises(Refused) as error:
        client.begin_letter("sealed-bid", asked, envelopes={"price": b"{}"})
    assert error.value.code == "envelope-refused"
    with pytest.raises(Refused, match="/envelopes/bidder"):
        client.begin_letter("sealed-bid", asked, envelopes={"bidder": b"x"})
