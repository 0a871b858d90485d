"""Letters checked by anybody, while another tenant of the box and a stranger try what they can."""

from __future__ import annotations

import ssl
import time

import httpx
import pytest

from appliance.api.letters.public import QUIET_S
from appliance.client import Client
from appliance.client.errors import Refused
from firmware_tests.letters.test_letters import bid
from firmware_tests.letters.test_public_letters import anybody  # noqa: F401 - a fixture
from firmware_tests.running import RunningBox


def test_another_tenants_letter_cannot_stand_under_the_same_code(
    client: Client,
    other: Client,
    anybody: httpx.Client,  # noqa: F811
) -> None:
    fields = bid()
    letter = other.begin_letter("bid-bond", fields).happened.letter
    asked = {"code": letter, "second": fields["tender_code"]}
    before = anybody.post("/v1/check", json=asked).json()
    lie = fields | {"amount": {"amount": "1.00", "currency": "CNY"}}
    # Tenant `demo`, whose name comes first, tries to take the code that stands on the other tenant's letter.
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", lie, letter=letter)
    assert error.value.code == "letter-ids-not-given"
    assert anybody.post("/v1/check", json=asked).json() == before


def test_what_cannot_be_typed_does_not_tell_codes_that_exist(client: Client, anybody: httpx.Client) -> None:  # noqa: F811
    letter = client.begin_letter("bid-bond", bid()).happened.letter
    for second in (" ", "\u200b"):
        answers = [anybody.post("/v1/check", json={"code": code, "second": second}) for code in (letter, "00" * 16)]
        assert answers[0].status_code == answers[1].status_code


def test_too_many_members_of_the_form_are_no_internal_error(anybody: httpx.Client) -> None:  # noqa: F811
    form = "&".join(["second=1"] * 5)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert anybody.post(f"/letters/{'00' * 16}", content=form, headers=headers).status_code in (400, 404, 422)


def test_a_splits_ids_are_not_those_of_another_tenant(client: Client, other: Client) -> None:
    taken = other.begin_letter("bid-bond", bid()).happened.letter
    with pytest.raises(Refused):
        client.begin_letter("bid-bond", bid(), letter=taken)


def test_the_time_of_an_answer_does_not_tell_who_bids_before_the_opening(
    client: Client, letter_box: RunningBox
) -> None:
    fields = bid(opening="2099-11-30T09:30:00+08:00")
    client.begin_letter("bid-bond", fields)
    bidder = fields["bidder"]
    assert isinstance(bidder, dict)
    context = ssl.create_default_context(cafile=str(letter_box.home.trust / "box-ca.pem"))
    with httpx.Client(base_url=f"https://{letter_box.address('public')}", verify=context) as impatient:
        for code in (fields["tender_code"], "T-0"):
            asked = {"kind": "bid-bond", "first": bidder["name"], "second": code}
            for path, given in (("/v1/check/pair", {"json": asked}), ("/letters/find", {"data": asked})):
                status = 429
                while status == 429:  # an address may ask twice a second
                    time.sleep(0.6)
                    begun = time.monotonic()
                    status = impatient.post(path, **given).status_code  # type: ignore[arg-type]
                    took = time.monotonic() - begun
                assert status == 404
                assert took >= QUIET_S
