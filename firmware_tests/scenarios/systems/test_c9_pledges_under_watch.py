"""C9: registered devices watch a pledged asset; their readings are stamped in bulk and deposited batch by batch."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from appliance.ceremonies.actions import HoldCertificate
from appliance.client import Client
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.members import Member
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    digest,
    firm,
    fresh,
    happened,
    moment,
    number,
    refuses,
    story,
)


def test_c9_telemetry_of_a_pledge(
    bank: Client,
    second_bank: Client,
    branch: Client,
    office: Office,
    offline: Offline,
    hall: ManagedBox,
    join: Callable[..., Member],
) -> None:
    scale = join("bank", "scale-07", "device-gateway")
    pledge = {
        "asset": number("ZYW"),
        "pledgor": firm("天津钢管仓储有限公司"),
        "pledgee": firm("中国工商银行天津分行"),
        "place": "天津港保税区 12 号库",
        "devices": [{"device": "地磅-07", "certificate": scale.digest}],
    }
    letter = bank.begin_letter("pledged-asset", pledge).happened.letter

    with shows("C9", "K8", "An asset is pledged to one bank: another bank's pledge of it is refused"):
        with refuses("taken"):
            second_bank.begin_letter("pledged-asset", pledge)
        with refuses("party-missing", "pledgee"):
            branch.draft_event(letter, "release")

    with shows("C9", "K15 K11", "The devices that may speak for it stand in the letter; changing them is approved"):
        more = [*pledge["devices"], {"device": "摄像头-12", "certificate": fresh("设备证书")}]  # type: ignore[misc]
        with refuses("approval-missing"):
            bank.letter_event(letter, "change-devices", fields={"devices": more})
        office.event(bank, letter, "change-devices", by=["li-ming"], fields={"devices": more})
        assert len(bank.letter(letter).fields["devices"]) == 2

    readings = [f"地磅-07 {place} {secrets.randbelow(9000)}kg".encode() for place in range(2_000)]
    with shows(
        "C9", "K2", "Two thousand readings get one time-stamp together, and any one of them proves its time alone"
    ):
        batch = scale.client.stamp_many([hashlib.sha256(one).digest() for one in readings])
        assert offline.passes(readings[1234], batch.evidence_record(1234))

    with shows("C9", "K6", "The letter keeps each batch's digest, count and span; an alarm interrupts and is cleared"):
        deposit = {
            "batch": digest(b"".join(readings)),
            "readings": len(readings),
            "from_time": moment(-3_600),
            "to_time": moment(0),
        }
        scale.client.letter_event(letter, "deposit", data=deposit)
        bank.letter_event(letter, "alarm", data={"cause": "重量突降 12 吨"})
        with refuses("event-refused", "alarmed"):
            office.event(bank, letter, "release", by=["li-ming"])
        bank.letter_event(letter, "clear", data={"finding": "叉车误碰，现场核实无误"})
        alert = {
            "subject": pledge["pledgor"],
            "indicator": "质押物重量",
            "measured": "88.0",
            "limit": "100.0",
            "level": "orange",
            "source": deposit["batch"],
        }
        raised = bank.begin_letter("risk-alert", alert).happened.letter
        bank.letter_event(raised, "dismiss", data={"reason": "叉车误碰"})
        assert happened(bank, letter)[2][1].data["readings"] == 2_000
        assert story(bank, letter)[-3:] == ["deposit", "alarm", "clear"]

    with shows(
        "C9", "K15", "The scale speaks with a certificate of its own, the one that the letter names, as a device"
    ):
        said = next(event for _, event in happened(bank, letter) if event.event == "deposit")
        assert said.actor.application == "scale-07"
        assert bank.letter(letter).fields["devices"][0]["certificate"] == scale.digest
        with refuses("role-missing", "pledgee"):
            scale.client.letter_event(letter, "release")

    with shows("C9", "K15", "Stolen, it is silenced by one officer's word, at once; the others go on"):
        hall.one_word(HoldCertificate(tenant="bank", certificate=scale.digest))
        with refuses("unknown-caller"):
            scale.client.letter_event(letter, "deposit", data=deposit)
        bank.letter_event(letter, "deposit", data=deposit)
