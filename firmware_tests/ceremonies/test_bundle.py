"""Record bundles: what a real box makes holds offline; what is changed in one is found, whoever mends the rest."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ceremonies import bundle as form
from appliance.ceremonies.actions import EnrolApplication
from appliance.ceremonies.bundle import manifest, pack, unpack
from appliance.ceremonies.errors import BundleRefused
from appliance.ceremonies.judging import followed_constitutions, judge_bundle
from appliance.errors import Conflict
from appliance.evidence import Indication, NamedBytes, Report, TrustBundle, verify
from appliance.evidence.findings import worst
from firmware_tests.ceremonies.conftest import Ended
from firmware_tests.governed import Governed
from firmware_tests.officers import SoftwareOfficer
from firmware_tests.running import cinnabar

Document = dict[str, Any]


def report(content: bytes, trust: TrustBundle, genesis: str | None = None) -> Report:
    return verify([NamedBytes("ceremony.asice", content)], trust, now_us=time.time_ns() // 1000, genesis=genesis)


def outcome(content: bytes, trust: TrustBundle, genesis: str | None = None) -> Indication:
    return worst([journal.indication for _, journal in judge_bundle(content, trust, genesis).parts])


def refusals(content: bytes, trust: TrustBundle) -> dict[str, str]:
    """What did not hold: the part's title to the text."""
    return {
        title: check.text
        for title, journal in judge_bundle(content, trust).parts
        for check in journal.checks
        if check.outcome in {"failed", "undecided"}
    }


@pytest.mark.parametrize("which", ["amended", "executed", "failed", "failed again", "withdrawn", "rejected"])
def test_what_a_box_makes_holds(ended: Ended, which: str) -> None:
    found = report(ended.bundles[which], ended.trust)
    assert found.indication is Indication.PASSED, refusals(ended.bundles[which], ended.trust)
    (file,) = found.files
    assert file.kind == "record bundle of a ceremony"
    assert [part.title for part in file.parts] == ["record bundle", "constitution", "decision", "execution", "logs"]
    assert file.claimed
    assert file.existed_no_later_than is None


def test_the_command_line(ended: Ended, tmp_path: Path) -> None:
    path = tmp_path / "ceremony.asice"
    path.write_bytes(ended.bundles["executed"])
    options = ("--trust", str(ended.directory), "--state", str(tmp_path / "state"))
    shown = cinnabar("verify", str(path), *options)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "approved by bo, cai" in shown.stdout
    assert "\u202e" not in shown.stdout
    assert cinnabar("verify", str(path), *options, "--constitution", ended.genesis).returncode == 0
    assert cinnabar("verify", str(path), *options, "--constitution", "0" * 64).returncode == 2
    assert cinnabar("verify", str(path), *options, "--constitution", "abandon " * 23 + "art").returncode == 2
    assert "24 words" in cinnabar("verify", str(path), *options, "--constitution", "abandon").stderr
    content = bytearray(ended.bundles["executed"])
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert cinnabar("verify", str(path), *options).returncode == 1


def test_it_is_an_ordinary_container(ended: Ended, tmp_path: Path) -> None:
    """What reads ZIP and PDF elsewhere reads it."""
    path = tmp_path / "ceremony.asice"
    path.write_bytes(ended.bundles["executed"])
    with zipfile.ZipFile(path) as container:
        assert container.testzip() is None
        assert container.namelist() == form.order(unpack(ended.bundles["executed"]))
        container.extract(form.PRINTED, tmp_path)
    printed = tmp_path / form.PRINTED
    text = subprocess.run(["pdftotext", "-layout", str(printed), "-"], capture_output=True, check=True).stdout.decode()
    for words in ("A quota and a program", "U+202E", "REHEARSAL", "演练", "approves", "批准", "Witness", "见证人"):
        assert words in text, words
    for label in ("Tenant 租户", "Permissions 权限", "Application 应用"):
        assert label in text, f"{label}: what a step left"
    fonts = subprocess.run(["pdffonts", str(printed)], capture_output=True, text=True, check=True).stdout
    assert all(line.split()[-4] == "yes" for line in fonts.splitlines()[2:]), fonts  # embedded
    info = subprocess.run(["pdfinfo", str(printed)], capture_output=True, text=True, check=True).stdout
    assert "A4" in info


def test_one_flipped_bit_anywhere(ended: Ended) -> None:
    """Every region of the file, and every member by name; a bundle has no byte that does not matter."""
    original = ended.bundles["executed"]
    names = form.order(unpack(original))
    with zipfile.ZipFile(io.BytesIO(original)) as container:
        starts = [container.getinfo(name).header_offset for name in names] + [container.start_dir]
    headers = [start + at for start in starts for at in (0, 6, 8, 10, 12, 14, 22, 30)]
    spread = range(0, len(original), max(1, len(original) // 400))
    for at in {*headers, *spread, len(original) - 1}:
        changed = bytearray(original)
        changed[at] ^= 1 << (at % 8)
        assert outcome(bytes(changed), ended.trust) is Indication.FAILED or not form.is_bundle(changed[:256]), at


@pytest.mark.parametrize("which", ["executed", "amended"])
def test_who_mends_the_manifest_contradicts_the_log(ended: Ended, which: str) -> None:
    members = unpack(ended.bundles[which])
    for name in members:
        if name in {form.MIMETYPE, form.MANIFEST, form.BUNDLE_RECORD}:
            continue
        changed = dict(members)
        content = bytearray(changed[name])
        at = len(content) // 2
        content[at] = content[at] ^ 1
        changed[name] = bytes(content)
        assert refusals(mended(changed), ended.trust), name


def mended(members: dict[str, bytes]) -> bytes:
    """The container of these members with a manifest that fits."""
    return pack(members | {form.MANIFEST: manifest(members)})


def forge(content: bytes, **changes: Callable[[Any], None]) -> bytes:
    """The bundle with JSON members changed in place, by their names without `.json`, all digests mended."""
    members = unpack(content)
    for name, change in changes.items():
        file = f"{name.replace('__', '/')}.json"
        document = json.loads(members[file])
        change(document)
        members[file] = rfc8785.dumps(document)
    return mended(members)


def drop(number: int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        del document["statements" if "statements" in document else "said"][number]

    return change


def drop_record(number: int) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        statements = [one for one in document["records"] if one["event"].startswith("statement/")]
        gone = {one["event"] for one in statements[number::3]}
        document["records"] = [one for one in document["records"] if one["event"] not in gone]

    return change


def test_a_removed_approval(ended: Ended) -> None:
    forged = forge(ended.bundles["executed"], statements=drop(2), transcript=drop(2), records=drop_record(2))
    found = refusals(forged, ended.trust)
    assert "something in this one is changed" in found["record bundle"]
    assert "The quorum had not approved" in found["decision"]
    assert report(forged, ended.trust).indication is Indication.FAILED


def test_a_removed_rejection(ended: Ended) -> None:
    """Without it the proposal would have been open, so the transcript's end does not hold."""
    forged = forge(ended.bundles["rejected"], statements=drop(1), transcript=drop(1), records=drop_record(1))
    assert "by the statements the proposal was open" in refusals(forged, ended.trust)["decision"]


def test_constitutions_are_followed_from_the_trusted_founding_alone(ended: Ended) -> None:
    content = ended.bundles["amended"]
    found = followed_constitutions(content, ended.trust)
    assert [one.version for one in found] == list(range(1, len(found) + 1))
    assert found
    assert followed_constitutions(content, ended.trust, "ab" * 32) == []
    assert followed_constitutions(content[:-9], ended.trust) == []
    unlawful = msgspec.structs.replace(ended.trust.document, rehearsal=not ended.trust.document.rehearsal)
    assert followed_constitutions(content, dataclasses.replace(ended.trust, document=unlawful)) == []


def test_a_withdrawal_is_told_as_what_it_was(ended: Ended) -> None:
    said = [
        check.text
        for title, journal in judge_bundle(ended.bundles["withdrawn"], ended.trust).parts
        for check in journal.checks
        if title == "decision" and check.name == "quorum"
    ]
    assert any("approved by bo, cai" in text for text in said)
    assert "After the execution had failed bo withdrew it: it was not executed any more." in said
    transcript = json.loads(unpack(ended.bundles["withdrawn"])[form.TRANSCRIPT])
    assert transcript["exceptions"][-1]["decided"]["en"].startswith("Officers withdrew it")
    text = unpack(ended.bundles["withdrawn"])[form.PRINTED]
    shown = subprocess.run(["pdftotext", "-layout", "-", "-"], input=text, capture_output=True, check=True).stdout
    assert "withdrawn after an execution that failed" in shown.decode()


def test_a_withdrawal_that_was_not_one(ended: Ended) -> None:
    forged = forge(ended.bundles["withdrawn"], statements=drop(-1), transcript=drop(-1), records=drop_record(3))
    assert "by the statements it was not" in refusals(forged, ended.trust)["decision"]

    def never(document: Document) -> None:
        document["state"] = "failed"

    def early(document: Document) -> None:
        document["said"][-1]["received"] = document["attempts"][-1]["begun"] + 1

    hidden = refusals(forge(ended.bundles["withdrawn"], transcript=never), ended.trust)
    assert "other events" in hidden["logs"]
    assert "decision" in refusals(forge(ended.bundles["withdrawn"], transcript=early), ended.trust)


def test_a_statement_of_another_proposal(ended: Ended) -> None:
    other = json.loads(unpack(ended.bundles["rejected"])[form.STATEMENTS])["statements"][0]

    def exchange(document: Document) -> None:
        document["statements"][0] = other

    found = refusals(forge(ended.bundles["executed"], statements=exchange), ended.trust)
    assert "is about another proposal" in found["decision"]
    assert "other events" in found["logs"]


def test_an_approval_by_another_hand(ended: Ended) -> None:
    """Somebody else signs in an officer's name, exactly this proposal."""
    digest = json.loads(unpack(ended.bundles["executed"])[form.TRANSCRIPT])["proposal"]
    stranger = SoftwareOfficer("cai", origin="https://approve.localhost")

    def exchange(document: Document) -> None:
        signed = msgspec.to_builtins(stranger.sign("approve", digest))
        signed["credential"] = document["statements"][2]["statement"]["credential"]
        document["statements"][2]["statement"] = signed

    found = refusals(forge(ended.bundles["executed"], statements=exchange), ended.trust)
    assert "wrong about whether cai's statement holds" in found["decision"]


@pytest.mark.parametrize("version", [1, 2])
def test_an_officer_added_to_the_chain(ended: Ended, version: int) -> None:
    stranger = msgspec.to_builtins(SoftwareOfficer("eve").person())
    stranger["credentials"][0]["rp_id"] = "approve.localhost"

    def add(document: Document) -> None:
        document["constitution"]["persons"].append(stranger)
        for scope in document["constitution"]["scopes"]:
            scope["officers"].append("eve")

    forged = forge(ended.bundles["executed"], **{f"constitution__{version}": add})
    found = refusals(forged, ended.trust)
    assert "not lawful" in found["constitution"]
    assert report(forged, ended.trust).indication is Indication.FAILED


def test_another_founding(ended: Ended) -> None:
    """A whole chain of one's own is lawful in itself: only the founding tells."""
    stranger = msgspec.to_builtins(SoftwareOfficer("eve").person())

    def add(document: Document) -> None:
        document["constitution"]["persons"].append(stranger)

    forged = forge(ended.bundles["amended"], constitution__1=add)
    assert "another one" in refusals(forged, ended.trust)["constitution"]


def test_a_step_that_was_another(ended: Ended) -> None:
    def rename(document: Document) -> None:
        document["steps"][1]["action"] = "resume-application"

    def facts(document: Document) -> None:
        document["steps"][1]["facts"]["application"] = "another"

    def output(document: Document) -> None:
        document["steps"][0]["outputs"][0]["sha256"] = "0" * 64

    assert (
        "not the proposal's next"
        in refusals(forge(ended.bundles["executed"], transcript=rename), ended.trust)["execution"]
    )
    assert "other events" in refusals(forge(ended.bundles["executed"], transcript=facts), ended.trust)["logs"]
    assert (
        "is not what step 1 made"
        in refusals(forge(ended.bundles["amended"], transcript=output), ended.trust)["execution"]
    )


def test_steps_in_another_order(ended: Ended) -> None:
    def reverse(document: Document) -> None:
        document["steps"].reverse()

    found = refusals(forge(ended.bundles["executed"], transcript=reverse), ended.trust)
    assert "not the proposal's next" in found["execution"]
    assert "other events" in found["logs"]


def test_a_failure_told_as_success(ended: Ended) -> None:
    def pretend(document: Document) -> None:
        document["state"] = document["attempts"][-1]["state"] = "executed"
        document["attempts"][-1]["error"] = document["steps"][-1]["error"] = ""
        document["steps"][-1]["outcome"] = "done"

    assert "other events" in refusals(forge(ended.bundles["failed"], transcript=pretend), ended.trust)["logs"]


def test_records_of_elsewhere(ended: Ended) -> None:
    def salt(document: Document) -> None:
        document["records"][0]["salt"] = "0" * 64

    def place(document: Document) -> None:
        document["records"][0]["index"] += 1

    def more(document: Document) -> None:
        document["records"][0]["record"]["more"] = "than it may"

    for change in (salt, place, more):
        assert "logs" in refusals(forge(ended.bundles["executed"], records=change), ended.trust), change


def test_times_that_do_not_follow(ended: Ended) -> None:
    def early(document: Document) -> None:
        document["submitted"] = document["ended"]

    assert "do not follow" in refusals(forge(ended.bundles["executed"], transcript=early), ended.trust)["execution"]


def test_exceptions_say_what_was_expected_what_happened_and_what_was_decided(ended: Ended) -> None:
    transcript = json.loads(unpack(ended.bundles["failed again"])[form.TRANSCRIPT])
    assert [one["attempt"] for one in transcript["attempts"]] == [1, 2]
    assert [(one["attempt"], one["step"], one["outcome"]) for one in transcript["steps"]] == [
        (1, 0, "done"),
        (1, 1, "failed"),
        (2, 1, "failed"),
    ]
    first, second = transcript["exceptions"]
    assert "resume" in first["expected"]["en"].lower() or "again" in first["expected"]["en"].lower()
    assert "not-found" in first["happened"]
    assert first["decided"]["en"].startswith("Executed again from this step, as execution 2")
    assert second["decided"]["zh"].startswith("执行到此结束")


def test_without_a_founding_nothing_passes(ended: Ended) -> None:
    """Bundles of trust from before there were ceremonies name none; the founding can be given by hand."""
    document = msgspec.structs.replace(ended.trust.document, ceremonies=msgspec.UNSET)
    older = dataclasses.replace(ended.trust, document=document)
    assert report(ended.bundles["executed"], older).indication is Indication.INDETERMINATE
    assert report(ended.bundles["executed"], older, ended.genesis).indication is Indication.PASSED
    assert report(ended.bundles["executed"], older, "0" * 64).indication is Indication.INDETERMINATE
    assert report(ended.bundles["executed"], ended.trust, "0" * 64).indication is Indication.INDETERMINATE


def test_a_log_that_is_not_trusted(ended: Ended) -> None:
    stripped = dataclasses.replace(ended.trust, logs={})
    assert report(ended.bundles["executed"], stripped).indication is Indication.INDETERMINATE


def test_one_bundle_for_everybody(ruled: Governed, ended: Ended) -> None:
    """It is made once: the log has one digest of it, and it is the same over a restart of the box."""
    digest = json.loads(unpack(ended.bundles["executed"])[form.TRANSCRIPT])["proposal"]
    assert ruled.bundle(digest) == ended.bundles["executed"]
    with ruled.desk() as desk:
        entries = [one for one in desk.transcript(digest)["entries"] if one["event"].startswith("bundle/")]
        assert sorted(one["log"] for one in entries) == ["@box", "demo"]
        open_one = ruled.submit([EnrolApplication(tenant="demo", application="open", permissions=[])])
        with pytest.raises(Conflict):
            desk.bundle(open_one)


def test_a_bundle_that_was_settled_and_not_finished(ruled: Governed) -> None:
    """A life that ended after the log had the digest is followed by one that finishes the same bundle."""
    digest = ruled.decide([EnrolApplication(tenant="demo", application="unfinished", permissions=[])])
    made = ruled.bundle(digest)
    kept = ruled.box.home.keymaster / "bundles" / f"{digest}-1.asice"
    members = unpack(made)
    del members[form.BUNDLE_RECORD]
    kept.unlink()
    kept.with_suffix(".settled").write_bytes(pack(members))
    again = unpack(ruled.bundle(digest))
    del again[form.BUNDLE_RECORD]
    assert again == members
    assert not kept.with_suffix(".settled").exists()


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with pytest.raises(BundleRefused):
        unpack(b"PK\x03\x04" + content)


@given(st.data())
@settings(max_examples=60)
def test_no_document_breaks_the_judge(ended: Ended, data: st.DataObject) -> None:
    """Members of other kinds and values at any place: found, never a crash."""
    members = unpack(ended.bundles["executed"])
    name = data.draw(st.sampled_from([form.TRANSCRIPT, form.STATEMENTS, form.RECORDS, form.PROPOSAL]))
    document = json.loads(members[name])
    places = list(_places(document))
    at = data.draw(st.sampled_from(places))
    value = data.draw(st.sampled_from([None, 0, -1, 2**60, "", "x", [], {}, "9999-99-99T99:99:99Z", "0" * 64]))
    _put(document, at, value)
    changed = rfc8785.dumps(document) if value != 2**60 else json.dumps(document).encode()
    if changed == members[name]:
        return
    assert outcome(mended(members | {name: changed}), ended.trust) is not Indication.PASSED


def _places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _places(one, (*path, number))


def _put(value: Any, path: tuple[Any, ...], new: object) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


@pytest.mark.parametrize("said", ["executed/1", "statement/0", "", "bundle/1\nchecked by the regulator"])
def test_the_boxs_own_record_is_called_what_it_is(ended: Ended, said: str) -> None:
    """The manifest is not about this member, and no log: so what stands in it follows from the record."""
    members = unpack(ended.bundles["executed"])
    document = json.loads(members[form.BUNDLE_RECORD])
    document["records"][0]["event"] = said
    assert outcome(pack(members | {form.BUNDLE_RECORD: rfc8785.dumps(document)}), ended.trust) is Indication.FAILED
