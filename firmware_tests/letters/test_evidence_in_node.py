"""A running box's evidence, checked by a small program of npm's libraries that knows ASiC-E and nothing of us."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.asic import read_container
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.letters.test_letters import bid
from firmware_tests.others.npm import node
from firmware_tests.running import RunningBox

PAGE = "event-0001/letter.pdf"
SEALS = ("META-INF/signature-0001.p7s", "META-INF/signature-0002.p7s")
Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def honest(letter_box: RunningBox) -> bytes:
    """A bond that was issued and released, with its pages."""
    with client_of(letter_box) as client:
        letter = client.begin_letter("bid-bond", bid(), document=True).happened.letter
        client.letter_event(letter, "release", document=True)
        return taken(client, letter)


@pytest.fixture
def check(letter_box: RunningBox, tmp_path: Path) -> Check:
    trust = letter_box.home.trust

    def run(content: bytes, seals: str = "seal-ca.pem", stamps: str = "tsa-ca.pem") -> dict[str, Any]:
        (tmp_path / "letter.asice").write_bytes(content)
        arguments = [str(one) for one in (tmp_path / "letter.asice", trust / seals, trust / stamps)]
        found: dict[str, Any] = node("check-asice.mjs", *arguments)
        return found

    return run


def packed(entries: dict[str, bytes], first: str = "mimetype") -> bytes:
    """As another program packs them, `mimetype` before all."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(entries, key=lambda name: name != first):
            archive.writestr(zipfile.ZipInfo(name), entries[name])
    return made.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def flipped(content: bytes, name: str) -> bytes:
    """One bit in the middle of an entry, which stands in the file as it is."""
    entry = read_container(content)[name]
    at = content.index(entry) + len(entry) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_an_honest_file_holds(check: Check, honest: bytes) -> None:
    found = check(honest)
    assert found["wrong"] == []
    assert [one["signature"] for one in found["signatures"]] == list(SEALS)
    named = [name for one in found["signatures"] for name in one["files"]]
    assert set(named) == {name for name in read_container(honest) if not name.startswith("META-INF/")}
    assert PAGE in named
    assert all(one["stamped"] for one in found["signatures"])


def named_wrong(found: dict[str, Any]) -> set[str]:
    return {one.partition(": ")[0] for one in found["wrong"]}


@pytest.mark.parametrize("name", [PAGE, "event-0002.json", SEALS[1]])
def test_one_bit_changed_is_found_and_named(check: Check, honest: bytes, name: str) -> None:
    assert named_wrong(check(flipped(honest, name))) == {name}


def test_a_manifest_that_was_changed_is_no_longer_what_its_signature_is_of(check: Check, honest: bytes) -> None:
    name = "META-INF/ASiCManifest-0001.xml"
    entries = unpacked(honest)
    changed = entries[name].replace(b"application/pdf", b"application/bmp")
    assert changed != entries[name]
    assert named_wrong(check(packed(entries | {name: changed}))) == {SEALS[0]}


def test_what_was_packed_anew_is_named(check: Check, honest: bytes) -> None:
    entries = unpacked(honest)
    assert check(packed(entries))["wrong"] == []
    first, second = SEALS
    exchanged = entries | {first: entries[second], second: entries[first], "added.txt": b"more"}
    found = check(packed(exchanged, first=PAGE))
    assert named_wrong(found) == {first, second, "added.txt", "mimetype"}, found


def test_other_authorities_do_not_vouch(check: Check, honest: bytes) -> None:
    for seals, stamps in (("tsa-ca.pem", "tsa-ca.pem"), ("seal-ca.pem", "seal-ca.pem")):
        assert named_wrong(check(honest, seals, stamps)) == set(SEALS)
