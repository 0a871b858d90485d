"""A letter whose log goes on under another hash: the program verifies it, the page says that it does not judge that."""

from __future__ import annotations

import base64

import msgspec
from playwright.sync_api import Page

from appliance.evidence import Indication, LogEntry, read_bundle
from appliance.tree_hash import SHA512
from firmware_tests.evidence.browser.test_agreement import JUDGE, page
from firmware_tests.evidence.letters import NOW, check, event, evidence, office, surroundings
from firmware_tests.evidence.material import microseconds
from firmware_tests.evidence.test_letters import FIRST
from firmware_tests.log.renewed import NEW, OLD, line

__all__ = ["page"]


def test_a_letter_under_another_hash(page: Page) -> None:
    desk = office()
    desk.seal(FIRST)
    desk.seal(event(FIRST, "claim"))
    logs = line((9, 6))
    chain = []
    for place, one in enumerate(desk.chain(), 2):
        moved = msgspec.structs.replace(one.opened, log=NEW, index=place)
        logs[1].entries[place] = moved.commitment
        assert len(moved.commitment) == SHA512.size
        chain.append(msgspec.structs.replace(one, opened=moved))
    proven = [
        msgspec.structs.replace(
            one, opened=msgspec.structs.replace(one.opened, proof=logs[1].proof(one.opened.index or 0).encode())
        )
        for one in chain
    ]
    content = evidence(proven)
    old, new = (one.keys[0] for one in logs)
    entries = [
        LogEntry(origin=OLD, key=str(old.verifier), last_size=9),
        LogEntry(origin=NEW, key=str(new.verifier), succeeds=OLD),
    ]
    files = surroundings()[0].bundle_files(logs=entries)
    report = check(content, trust=read_bundle(files, None))
    assert report.indication is Indication.PASSED, report
    encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
    said = page.evaluate(JUDGE, [encoded, base64.b64encode(content).decode(), microseconds(NOW) // 1000])
    assert said["indication"] == "INDETERMINATE", said
    assert "another hash than SHA-256" in str(said)
