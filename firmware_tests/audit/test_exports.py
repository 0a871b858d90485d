"""Exports: complete in their range, checked by tools that are not ours, found out whenever a bit of them changes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import random
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from appliance.audit.filters import Filter
from appliance.evidence import Indication, NamedBytes, SubIndication, TrustBundle
from appliance.evidence.export_lines import cell, uncell
from firmware_tests.audit.auditing import AuditBox, passed, verified, world
from firmware_tests.log.box import wait_for

FORMS = ("jsonl", "csv", "asice")


@pytest.fixture(scope="module")
def made(shared: AuditBox) -> dict[str, list[Path]]:
    """One export of each form, of records of three kinds, some withheld."""
    for number in range(6):
        shared.some("alfa", 9, ("stamp", "seal")[number % 2], ("tsu", "seal")[number % 2])
    with shared.client("alice") as client:
        return {form: shared.export(client, "alfa", form, Filter(kinds=["stamp", "administration"])) for form in FORMS}


@pytest.fixture(scope="module")
def trust(shared: AuditBox, made: dict[str, list[Path]]) -> TrustBundle:
    return shared.trust(world())


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def parts(paths: list[Path]) -> list[NamedBytes]:
    return [NamedBytes(path.name, path.read_bytes()) for path in paths]


@pytest.mark.parametrize("form", FORMS)
def test_an_export_passes_and_says_how_much_it_shows(
    made: dict[str, list[Path]], trust: TrustBundle, form: str
) -> None:
    report = verified(trust, *made[form])
    assert passed(report), report
    texts = [check.text for file in report.files for part in file.parts for check in part.checks]
    assert any("27 not asked for and not shown" in text for text in texts), texts
    assert any("for “alice”, as the management service said" in text for text in texts)
    for path in made[form]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_without_its_log_in_the_bundle_nothing_is_decided(made: dict[str, list[Path]]) -> None:
    report = verified(world().trust(), *made["jsonl"])
    assert report.indication is Indication.INDETERMINATE


def test_the_lines_have_each_leaf_once_and_in_order(made: dict[str, list[Path]], shared: AuditBox) -> None:
    lines = lines_of(made["jsonl"][0])
    head, end = lines[0], lines[-2]
    leaves = shared.leaves("alfa")
    at = int(str(head["first"]))
    for line in lines[1:-2]:
        assert line["index"] == at
        if line["type"] == "entry":
            content = json.dumps(line["content"], separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()
            salt = bytes.fromhex(str(line["salt"]))
            assert hashlib.sha256(b"cinnabar record v1\n" + salt + content).digest() == leaves[at]
            at += 1
        else:
            hashes = base64.b64decode(str(line["leaves"]))
            for number in range(0, len(hashes), 32):
                assert hashes[number : number + 32] == hashlib.sha256(b"\x00" + leaves[at]).digest()
                at += 1
    assert at == head["end"]
    assert end["withheld"] == 27


def test_the_table_reads_as_rfc_4180(made: dict[str, list[Path]]) -> None:
    table, proof = made["csv"]
    rows = list(csv.reader(io.StringIO(table.read_bytes().decode(), newline=""), strict=True))
    assert rows[0] == ["index", "time", "kind", "key", "application", "record", "salt", "content"]
    assert all(len(row) == 8 for row in rows)
    assert {row[2] for row in rows[1:]} == {"stamp", "administration"}
    assert all(json.loads(uncell(row[7])) for row in rows[1:])
    assert lines_of(proof)[-2]["table"] == hashlib.sha256(table.read_bytes()).hexdigest()


def test_a_table_without_its_proof_and_a_proof_without_its_table_do_not_pass(
    made: dict[str, list[Path]], trust: TrustBundle
) -> None:
    for path in made["csv"]:
        assert verified(trust, path).indication is Indication.INDETERMINATE


def test_a_changed_table_beside_its_proof_is_refuted(
    made: dict[str, list[Path]], trust: TrustBundle, tmp_path: Path
) -> None:
    table, proof = made["csv"]
    changed = tmp_path / table.name
    changed.write_bytes(table.read_bytes().replace(b"stamp", b"stomp", 1))
    report = verified(trust, changed, proof)
    assert report.indication is Indication.FAILED
    assert {file.kind: file.sub_indications for file in report.files} == {
        "audit export": [SubIndication.HASH_FAILURE],
        "document": [SubIndication.SIGNED_DATA_NOT_FOUND],
    }
    assert [check.text for file in report.files for part in file.parts for check in part.checks].count(
        "None of the files given is the one that this speaks about."
    ) == 1
    # A document that something else speaks about is not the changed table.
    assert verified(trust, table, proof).indication is Indication.PASSED


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'x", "a,b", 'say "x"', "two\nlines", ""]
)
def test_no_field_is_a_formula(text: str) -> None:
    row = f"{cell(text)},next\r\n"
    fields = next(csv.reader(io.StringIO(row, newline=""), strict=True))
    assert fields[1] == "next"
    assert uncell(fields[0]) == text
    assert not fields[0].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_formulas_in_records_are_defused_in_the_table(shared: AuditBox, trust: TrustBundle) -> None:
    shared.record("alfa", [shared.made("alfa", 1, key="@SUM(1+1)")])
    with shared.client() as client:
        files = shared.export(client, "alfa", "csv", Filter(keys=["@SUM(1+1)"]))
    row = list(csv.reader(io.StringIO(files[0].read_text(), newline="")))[1]
    assert row[3] == "'@SUM(1+1)"
    assert passed(verified(trust, *files))


def test_the_container_is_one_for_other_tools(made: dict[str, list[Path]], tmp_path: Path) -> None:
    container = made["asice"][0]
    tested = subprocess.run(("unzip", "-t", str(container)), capture_output=True, text=True, check=True)
    assert "No errors detected" in tested.stdout
    # EN 319 162-1, annex A.1: the media type can be read at a fixed place of the file.
    assert container.read_bytes()[30:38] == b"mimetype"
    assert container.read_bytes()[38 : 38 + 31] == b"application/vnd.etsi.asic-e+zip"
    with zipfile.ZipFile(container) as opened:
        assert opened.testzip() is None
        assert opened.infolist()[0].filename == "mimetype"
        opened.extractall(tmp_path)
    manifest = (tmp_path / "META-INF/ASiCManifest.xml").read_text()
    digest = subprocess.run(
        ("openssl", "dgst", "-sha256", "-binary", str(tmp_path / "entries.jsonl")), capture_output=True, check=True
    )
    assert f"<ds:DigestValue>{base64.b64encode(digest.stdout).decode()}</ds:DigestValue>" in manifest
    subprocess.run(("python3", "-c", "import sys, xml.dom.minidom as x; x.parse(sys.argv[1])",
                    str(tmp_path / "META-INF/ASiCManifest.xml")), check=True)  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_any_flipped_bit_is_found(made: dict[str, list[Path]], trust: TrustBundle, form: str) -> None:
    files = parts(made[form])
    rng = random.Random(7)
    for which, file in enumerate(files):
        places = {rng.randrange(len(file.content)) for _ in range(250)} | {0, len(file.content) - 1}
        for place in places:
            changed = bytearray(file.content)
            changed[place] ^= 1 << rng.randrange(8)
            given = list(files)
            given[which] = NamedBytes(file.name, bytes(changed))
            report = verified(trust, *given)
            assert not passed(report), (file.name, place, file.content[max(0, place - 40) : place + 40])


def test_any_flipped_bit_of_a_member_of_the_container_is_found(made: dict[str, list[Path]], trust: TrustBundle) -> None:
    file = parts(made["asice"])[0]
    with zipfile.ZipFile(io.BytesIO(file.content)) as opened:
        spans = [(info.header_offset + 30 + len(info.filename), info.file_size) for info in opened.infolist()]
    rng = random.Random(8)
    for start, size in spans:
        for _ in range(80):
            changed = bytearray(file.content)
            changed[start + rng.randrange(size)] ^= 1 << rng.randrange(8)
            assert not passed(verified(trust, NamedBytes(file.name, bytes(changed))))


def resealed(path: Path, change: object) -> NamedBytes:
    """The export with other lines, and everything in it that its holder can make fit made to fit."""
    lines = path.read_bytes().splitlines(keepends=True)
    assert callable(change)
    return NamedBytes(path.name, b"".join(change(lines)))


def entries_of(lines: list[bytes]) -> list[int]:
    return [number for number, line in enumerate(lines) if line.startswith(b'{"type":"entry"')]


def omitted(lines: list[bytes]) -> list[bytes]:
    place = entries_of(lines)[2]
    return lines[:place] + lines[place + 1 :]


def hidden(lines: list[bytes]) -> list[bytes]:
    """A record that was shown is called withheld, and every count is made to fit."""
    place = entries_of(lines)[2]
    line = json.loads(lines[place])
    content = json.dumps(line["content"], separators=(",", ":")).encode()
    entry = hashlib.sha256(b"cinnabar record v1\n" + bytes.fromhex(line["salt"]) + content).digest()
    leaf = base64.b64encode(hashlib.sha256(b"\x00" + entry).digest()).decode()
    end = json.loads(lines[-2])
    end |= {"shown": end["shown"] - 1, "withheld": end["withheld"] + 1}
    withheld = json.dumps({"type": "withheld", "index": line["index"], "leaves": leaf}).encode() + b"\n"
    return [*lines[:place], withheld, *lines[place + 1 : -2], json.dumps(end).encode() + b"\n", lines[-1]]


def swapped(lines: list[bytes]) -> list[bytes]:
    first, second = entries_of(lines)[:2]
    changed = list(lines)
    changed[first], changed[second] = changed[second], changed[first]
    return changed


def renumbered(lines: list[bytes]) -> list[bytes]:
    changed = swapped(lines)
    for number, line in enumerate(entries_of(changed)):
        one = json.loads(changed[line])
        del one["type"]
        changed[line] = json.dumps({"type": "entry", **one, "index": number}).encode() + b"\n"
    return changed


def doubled(lines: list[bytes]) -> list[bytes]:
    place = entries_of(lines)[1]
    return lines[: place + 1] + lines[place:]


def cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def shorter(lines: list[bytes]) -> list[bytes]:
    """The range ends earlier, and says so."""
    place = entries_of(lines)[-1]
    head = lines[0].replace(b'"end":%d' % json.loads(lines[0])["end"], b'"end":%d' % json.loads(lines[place])["index"])
    return [head, *lines[1:place], *lines[-2:]]


def other_person(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b"alice", b"carol")]


@pytest.mark.parametrize(
    "change", [omitted, hidden, swapped, renumbered, doubled, cut, shorter, other_person], ids=lambda c: c.__name__
)
def test_a_forger_is_found(made: dict[str, list[Path]], trust: TrustBundle, change: object) -> None:
    report = verified(trust, resealed(made["jsonl"][0], change))
    assert report.indication is Indication.FAILED, report


def test_one_exports_record_does_not_vouch_for_another(
    shared: AuditBox, made: dict[str, list[Path]], trust: TrustBundle
) -> None:
    with shared.client("alice") as client:
        other = shared.export(client, "alfa", "jsonl", Filter(kinds=["stamp", "administration"]))[0]
    assert passed(verified(trust, other))
    mixed = made["jsonl"][0].read_bytes().splitlines(keepends=True)[:-1]
    mixed.append(other.read_bytes().splitlines(keepends=True)[-1])
    assert verified(trust, NamedBytes("mixed.jsonl", b"".join(mixed))).indication is Indication.FAILED


def test_both_ends_of_an_export_are_on_record(shared: AuditBox, made: dict[str, list[Path]]) -> None:
    record = lines_of(made["jsonl"][0])[-1]["content"]
    assert isinstance(record, dict)
    with shared.client() as client:
        page = client.entries("alfa", Filter(kinds=["administration"], text=str(record["export"])), limit=200)
        told = [json.loads(entry.content or "") for entry in page.entries]
    assert [one["action"] for one in told if one["format"] == "cinnabar-reading/1" and "export" in one] == [
        "export-made",
        "export-begun",
    ]


def test_the_boxs_own_log_is_exported_too(shared: AuditBox) -> None:
    wait_for(lambda: len(shared.leaves("@box")) > 3, "box leaves")
    with shared.client() as client:
        files = shared.export(client, "@box", "jsonl")
    kinds = {line.get("kind") for line in lines_of(files[0])}
    assert {"administration", "box-leaf"} <= kinds
    assert passed(verified(shared.trust(world()), *files))


def test_a_time_range_is_a_range_of_the_log(shared: AuditBox, trust: TrustBundle) -> None:
    shared.some("alfa", 300)
    entries = [shared.made("alfa", number) for number in range(700)]
    first = shared.record("alfa", entries)
    shared.some("alfa", 300)
    wanted = Filter(since=entries[10].time, until=entries[690].time)
    with shared.client() as client:
        files = shared.export(client, "alfa", "jsonl", wanted)
    lines = lines_of(files[0])
    shown = [line["index"] for line in lines if line["type"] == "entry"]
    assert shown == [first + n for n, one in enumerate(entries) if entries[10].time <= one.time < entries[690].time]
    assert int(str(lines[0]["first"])) > 0
    assert lines[0]["before"]
    assert passed(verified(trust, *files))
