"""Exports: complete in their range, checked by tools that are not ours, found out whenever a bit of them changes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import zipfile
from pathlib import Path

import msgspec
import pytest
import uvloop

from appliance.api.bodies import Body
from appliance.audit.filters import Filter
from appliance.audit.shelf import keep_newest
from appliance.box.settings import LimitSettings, RecordSettings
from appliance.errors import CinnabarError
from appliance.evidence import Indication, NamedBytes, SubIndication, TrustBundle
from appliance.evidence.export_lines import cell, uncell
from appliance.record import commitment
from appliance.store import schema
from appliance.store.records import segments
from firmware_tests.audit.auditing import AuditBox, passed, verified, world
from firmware_tests.log.box import origin_of, wait_for

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


def test_records_in_the_archive_are_exported(own: AuditBox) -> None:
    assert own.audit is not None
    own.stop(own.audit)
    own.stop(own.processes[0])
    own.set(records=RecordSettings(segment_bytes=20_000, keep_days=0))
    own.start_recorder()
    for number in range(12):
        own.some(("alfa", "bravo")[number % 2], 40)
    reader = schema.open_reader(own.home.records)
    wait_for(lambda: sum(one.state == "pruned" for one in segments(reader)) >= 3, "segments are pruned", 40)
    reader.close()
    own.start_audit()  # an index of what is in the archive is made out of the archive
    with own.client() as client:
        for form in ("jsonl", "csv"):
            files = own.export(client, "alfa", form)
            assert passed(verified(own.trust(world()), *files))
        view = client.exports()[0]
        assert view.shown >= 6 * 40
        with pytest.raises(CinnabarError) as caught:
            client.entry("alfa", 2)
        assert caught.value.code == "archived"


def test_an_export_of_a_damaged_record_fails_and_leaves_nothing(own: AuditBox) -> None:
    own.some("alfa", 3)
    made = own.made("alfa", 1)
    own.record("alfa", [msgspec.structs.replace(made, commitment=bytes(32))])
    own.wait_for_size(origin_of("alfa"), 6)
    with own.client() as client:
        name = client.export_start("alfa", form="asice")
        wait_for(lambda: client.export_progress(name).state != "running", "the export ends")
        view = client.export_progress(name)
        assert view.state == "failed"
        assert "record-damaged" in view.problem
        with pytest.raises(CinnabarError) as caught:
            list(client.export_file(name))
        assert caught.value.code == "export-not-made"
    assert list(own.home.audit_exports.iterdir()) == []


def test_whatever_an_export_meets_it_ends(own: AuditBox) -> None:
    """A taken-over worker left bytes that are no text. One that ran for ever would keep everybody's place."""
    made = own.made("alfa", 1)
    salt, content = os.urandom(32), b'{"a":"\xff"}'
    body = own.ciphers["alfa"].close(made.record_id, Body(salt, content, b""))
    index = own.record("alfa", [msgspec.structs.replace(made, commitment=commitment(salt, content), body=body)])
    own.wait_for_size(origin_of("alfa"), index + 1)
    with own.client() as client:
        shown = client.entries("alfa").entries
        assert any("\\xff" in (one.content or "") for one in shown)
        for _ in range(3):
            name = client.export_start("alfa", form="csv")
            wait_for(lambda name=name: client.export_progress(name).state != "running", "the export ends")
            assert client.export_progress(name).state == "failed"
    assert list(own.home.audit_exports.iterdir()) == []


def test_an_export_can_be_cancelled_and_only_so_many_run(own: AuditBox) -> None:
    uvloop.run(own.fill("alfa", 40_000))
    own.wait_for_size(origin_of("alfa"), 40_000)
    with own.client() as client:
        names = [client.export_start("alfa", form="jsonl") for _ in range(2)]
        with pytest.raises(CinnabarError) as caught:
            client.export_start("alfa", form="jsonl")
        assert caught.value.code == "too-many-exports"
        # Another log's exports neither wait for these nor tell of them.
        other = client.export_start("bravo", form="jsonl")
        wait_for(lambda: client.export_progress(other).state == "made", "the other log's export")
        for name in names:
            client.export_cancel(name)
            wait_for(lambda name=name: client.export_progress(name).state == "cancelled", "it is cancelled")
        kept = {path.name.partition(".")[0] for path in own.home.audit_exports.iterdir()}
        assert kept == {other}


def test_only_the_newest_files_of_a_log_stay(tmp_path: Path) -> None:
    for log in ("alfa", "alfa-2"):
        for second in range(5):
            for suffix in (".csv", ".csv.proof.jsonl"):
                (tmp_path / f"20261122T00000{second}Z-{log}-0000000{second}{suffix}").touch()
    (tmp_path / "README.txt").touch()
    keep_newest(tmp_path, "alfa", 2)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert [name for name in left if "-alfa-0" in name] == [
        f"20261122T00000{second}Z-alfa-0000000{second}{suffix}"
        for second in (3, 4)
        for suffix in (".csv", ".csv.proof.jsonl")
    ]
    assert len(left) == 4 + 10 + 1


def test_no_export_takes_the_room_of_records(own: AuditBox) -> None:
    free = shutil.disk_usage(own.home.root).free
    assert own.audit is not None
    own.stop(own.audit)
    own.settings = msgspec.structs.replace(own.settings, limits=LimitSettings(disk_warn_bytes=free * 2))
    own.write()
    own.start_audit()
    with own.client() as client, pytest.raises(CinnabarError) as caught:
        client.export_start("alfa", form="jsonl")
    assert caught.value.code == "no-room-for-export"
    assert list(own.home.audit_exports.iterdir()) == []


def test_a_killed_process_leaves_no_half_export(own: AuditBox) -> None:
    uvloop.run(own.fill("alfa", 60_000))
    own.wait_for_size(origin_of("alfa"), 60_000)
    with own.client("alice") as client:
        name = client.export_start("alfa", form="asice")
        wait_for(lambda: client.export_progress(name).done > 1_000, "it is at work")
    assert own.audit is not None
    os.kill(own.audit.pid, signal.SIGKILL)
    own.audit.wait()
    assert [path.name.startswith(".") for path in own.home.audit_exports.iterdir()] == [True]
    own.start_audit()
    assert list(own.home.audit_exports.iterdir()) == []
    with own.client("alice") as client:
        with pytest.raises(CinnabarError) as caught:
            client.export_progress(name)
        assert caught.value.code == "export-unknown"
        begun = client.entries("alfa", Filter(kinds=["administration"], text="export-begun"), limit=10).entries
        assert any(name in (entry.content or "") for entry in begun), "that it was begun is on record all the same"
        files = own.export(client, "alfa", "asice")
        got = b"".join(client.export_file(client.exports()[0].export))
        assert got == files[0].read_bytes()
    assert passed(verified(own.trust(world()), *files))


def test_an_export_that_is_taken_away_is_told(own: AuditBox) -> None:
    own.some("alfa", 3)
    with own.client() as client:
        own.export(client, "alfa", "jsonl")[0].unlink()
        with pytest.raises(CinnabarError) as caught:
            list(client.export_file(client.exports()[0].export))
        assert caught.value.code == "export-not-made"
