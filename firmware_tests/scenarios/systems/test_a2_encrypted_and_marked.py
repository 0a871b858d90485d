"""A2: the bidder encrypts its particulars itself; every step from application to issue is sealed and time-stamped."""

from __future__ import annotations

import base64
import json

from appliance.client import Client
from appliance.letters.bid_code import new_code
from firmware_tests.gateway.docking import Partner
from firmware_tests.letters.kinds import catalogue
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import day, happened, moment, number, refuses, veiled, yuan

BIDDER = {"name": "华南市政建设有限公司", "id": "91440101MA5CXXXX1K"}
PROJECT = "广州市第三污水处理厂扩建工程"


def test_a2_source_data_is_encrypted_and_each_step_is_marked(guarantor: Client, docks: dict[str, Partner]) -> None:
    order = number("DD")
    fields = {
        "order_number": order,
        "tender_code": number("GD"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("500000.00"),
        "opening": moment(3_600),
        "valid_until": day(90),
    }
    kind, code = catalogue("bid-bond-veiled").digest, new_code()
    envelopes = {
        "bidder": veiled(guarantor, "guarantor", kind, "bidder", order, code, BIDDER),
        "project": veiled(guarantor, "guarantor", kind, "project", order, code, PROJECT),
    }

    with shows("A2", "K5", "Who bids for what is encrypted by the bidder; in clear the box does not take it"):
        with refuses("field-refused", "/fields/bidder"):
            guarantor.begin_letter("bid-bond-veiled", fields | {"bidder": BIDDER}, envelopes=envelopes)
        letter = guarantor.begin_letter("bid-bond-veiled", fields, envelopes=envelopes).happened.letter
        standing = guarantor.letter(letter)
        assert standing.encrypted == ["bidder", "project"]
        assert BIDDER["name"] not in str(standing)

    with shows("A2", "K5", "Ciphertext of another order is refused: it is bound to its letter"):
        with refuses("envelope-elsewhere"):
            guarantor.begin_letter("bid-bond-veiled", fields | {"order_number": number("DD")}, envelopes=envelopes)

    with shows("A2", "K2", "Each step is its own sealed event with its own time-stamp, in order, by whom"):
        issued = guarantor.letter_event(letter, "issue")
        events = happened(guarantor, letter)
        assert [event.event for _, event in events] == ["apply", "issue"]
        assert {event.actor.application for _, event in events} == {"guarantor-app"}
        assert all(BIDDER["name"].encode() not in one.event for one, _ in events)
        stamp = guarantor.record(str(issued.stamp_record))
        assert '"stamp"' in stamp.content
        assert stamp.record != issued.happened.record

    with shows("A2", "K4", "The trade centre sends it as {data, encrypt, nonceStr, timeStamp, sign}: nothing in clear"):
        other, centre = number("DD"), docks["trade-centre"]
        sealed = {
            name: base64.b64encode(veiled(guarantor, "guarantor", kind, name, other, code, value)).decode()
            for name, value in (("bidder", BIDDER), ("project", PROJECT))
        }
        asked = {"kind": "bid-bond-veiled", "fields": fields | {"order_number": other}, "envelopes": sealed}
        message = centre.write({"call": "begin", "request": asked})
        assert set(json.loads(message)) == {"data", "encrypt", "nonceStr", "timeStamp", "sign"}
        assert other.encode() not in message
        answer = centre.read(centre.post(message).content)
        assert guarantor.letter(answer["body"]["happened"]["letter"]).encrypted == ["bidder", "project"]
