"""Pages about keys, tenants, records, audit and the box: what they show, what they keep from whom, what they put on
record, and that no text of others does anything on them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from appliance.box.settings import WitnessSettings
from appliance.evidence import NamedBytes, verify
from appliance.evidence.directory import load_trust
from firmware_tests.mgmt_service.managed import FIRM, ManagedBox, Visitor
from firmware_tests.running import wait_until
from mgmt_service.areas.box import item_of
from mgmt_service.areas.keys import key_steps, successor
from mgmt_service.words import SETTINGS_PARTS

EMPTY = {"@box", "demo"}


def get(visitor: Visitor, path: str, **query: str) -> Any:
    answer = visitor.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def made(visitor: Visitor, path: str) -> Any:
    """An export when its files are there; the box makes few at a time, so that a test waits for what it began."""
    wait_until(lambda: get(visitor, path)["state"] == "made", 30, "the export")
    return get(visitor, path)


# Keys


def test_keys_are_those_of_the_viewer_s_scopes(ann: Visitor, dora: Visitor) -> None:
    mine = {owner["owner"]: {key["name"] for key in owner["keys"]} for owner in get(ann, "/keys")["owners"]}
    assert set(mine) == EMPTY
    assert {"box-ca", "tsa-ca", "seal-ca"} <= mine["@box"]
    assert "demo-seal" in mine["demo"]
    theirs = get(dora, "/keys")["owners"]
    assert [owner["owner"] for owner in theirs] == ["other"]
    assert not any("demo" in key["name"] for key in theirs[0]["keys"])


def test_a_key_is_shown_as_its_token_tells(managed: ManagedBox, ann: Visitor) -> None:
    before = get(ann, "/keys/demo/demo-seal")["key"]["signatures"]
    managed.sealed()
    shown = get(ann, "/keys/demo/demo-seal")
    assert shown["key"]["signatures"] == before + 1
    assert shown["key"]["state"] == "active"
    assert shown["attributes"]["extractable"] is False
    assert shown["attributes"]["never_extractable"] is True
    assert shown["attributes"]["modifiable"] is False
    assert shown["weaknesses"] == []
    own = shown["chain"][0]
    assert own["certificate"]["state"] == "in-force"
    assert own["days_left"] > 300
    pem = ann.get("/api/v1/keys/demo/demo-seal/certificate").text
    assert pem.count("BEGIN CERTIFICATE") == len(shown["chain"])


def test_each_next_step_opens_its_ceremony_filled_in(ann: Visitor) -> None:
    shown = get(ann, "/keys/demo/demo-seal")
    steps = {step["what"]: step["link"] for step in shown["steps"] + shown["chain"][0]["steps"]}
    assert {"rotate", "suspend", "deactivate", "compromised", "hold", "revoke"} <= set(steps)
    for what, link in steps.items():
        page = ann.get(link)
        assert page.status_code == 200, (what, page.text[:500])
        form = get(ann, urlsplit(link).path, **{k: v[0] for k, v in parse_qs(urlsplit(link).query).items()})
        fields = {field["path"]: field["value"] for section in form["sections"] for field in section["fields"]}
        for path, values in parse_qs(urlsplit(link).query).items():
            if path != "add" and not path.endswith((".purpose", ".scheme", ".authority")):
                assert fields[path] == values[0], (what, path)
    assert parse_qs(urlsplit(steps["rotate"]).query)["shared.successor"] == ["demo-seal-2"]


def test_who_decides_nothing_is_offered_nothing(managed: ManagedBox, ann: Visitor) -> None:
    reader = auditor(managed, ann, "uma", "tenant/demo")
    assert get(reader, "/keys/demo/demo-seal")["steps"] == []
    assert all(step == [] for step in (one["steps"] for one in get(reader, "/tenants")["tenants"]))


@pytest.mark.parametrize(("name", "following"), [("seal", "seal-2"), ("seal-2", "seal-3"), ("a-b-19", "a-b-20")])
def test_successors_have_a_name(name: str, following: str) -> None:
    assert successor(name) == following


def test_every_state_of_a_key_has_its_steps() -> None:
    from msgspec import convert

    from appliance.keymaster.answers import ShownKey

    def steps(state: str, **more: Any) -> set[str]:
        members = {
            "name": "k", "scope": "tenant/demo", "token": "t", "key_uri": "pkcs11:object=k", "scheme": "ed25519",
            "purpose": "seal", "in_use": True, "made": None, "until": None, "signatures": 0, "limit": None,
            "applications": [], "for_backup": False, "restored": False, "compromised": None, "because": "",
            "public_key": "0" * 64, "proposal": "", "chain": [], "state": state,
        }  # fmt: skip
        return {step.what for step in key_steps("demo", convert(members | more, ShownKey))}

    assert steps("pre-active") == {"certify", "request", "import", "activate", "deactivate", "compromised"}
    assert steps("active", for_backup=True) == {"rotate", "back-up", "suspend", "deactivate", "compromised"}
    assert steps("suspended") == {"resume", "deactivate", "compromised"}
    assert steps("deactivated") == {"resume", "destroy", "compromised"}
    assert steps("compromised") == {"destroy"}
    assert steps("destroyed") == steps("retired") == set()


# Tenants


def test_the_box_sees_every_tenant_s_quota_and_no_inside(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    rows = {one["name"]: one for one in get(ann, "/tenants")["tenants"]}
    assert set(rows) == {"demo", "other"}
    assert rows["other"]["mine"] is False
    assert {step["what"] for step in rows["other"]["steps"]} == {"rename-tenant", "set-quota", "suspend-tenant"}
    assert ann.get("/api/v1/tenants/other").status_code == 404
    assert [one["name"] for one in get(dora, "/tenants")["tenants"]] == ["other"]


def test_a_tenant_s_applications_are_its_own(dora: Visitor) -> None:
    shown = get(dora, "/tenants/other")
    names = [one["name"] for one in shown["applications"]]
    assert "other-app" in names
    certificate = shown["applications"][names.index("other-app")]["certificates"][0]
    assert certificate["days_left"] > 0
    for step in shown["steps"] + shown["applications"][0]["steps"] + certificate["steps"]:
        assert dora.get(step["link"]).status_code == 200, step


def test_for_whom_an_application_acts_stands_on_its_tenant_s_page(dora: Visitor) -> None:
    shown = {one["name"]: one for one in get(dora, "/tenants/other")["applications"]}
    desk, hub = shown["party-desk"], shown["party-hub"]
    assert (desk["permissions"], desk["parties"]) == (["role-holder"], [FIRM])
    assert (hub["permissions"], hub["parties"]) == (["role-holder"], ["*"])
    page = dora.get("/tenants/other").text
    assert f"Acts for the parties: <code>{FIRM}</code>" in page
    assert "Acts for every party." in page
    (change,) = [step for step in desk["steps"] if step["what"] == "permissions"]
    form = dora.get(change["link"]).text
    assert f"party-{FIRM}" in form, "who changes the permissions begins with all of them"
    assert "it acts for the party with this id" in form


# Records


def test_a_seal_leaves_the_pages_as_evidence_that_verifies(managed: ManagedBox, ann: Visitor, tmp_path: Path) -> None:
    content = f'{{"bond":{time.time_ns()}}}'.encode()
    record = managed.sealed(content)
    digest = hashlib.sha256(content).hexdigest()
    found = get(ann, "/records/demo", text=digest[:20])
    assert [one["record"] for one in found["entries"]] == [record]
    base = f"/audit/demo/entries/{record}"
    wait_until(lambda: get(ann, base)["proof"] is not None, 20, "a signed head over the record")
    shown = get(ann, base)
    files = [
        NamedBytes("bond.json", content),
        NamedBytes(shown["artifact_file"], ann.get(f"/api/v1{base}/artifact").content),
        NamedBytes(shown["opening_file"], ann.get(f"/api/v1{base}/opening").content),
    ]
    trust = load_trust(managed.home.trust, tmp_path, None)
    report = verify(files, trust, now_us=int(datetime.now(UTC).timestamp() * 1e6))
    assert report.indication.value == "TOTAL-PASSED", report
    sent = [{"name": one.name, "content": base64.b64encode(one.content).decode()} for one in files]
    by_the_box = ann.post("/api/v1/verify", json={"files": sent}).json()
    assert by_the_box.get("indication") == "TOTAL-PASSED", by_the_box
    form = {"csrf": ann.csrf}
    page = ann.post("/verify", data=form, files=[("files", (one.name, one.content)) for one in files])
    assert page.status_code == 200, page.text
    assert "What the box found" in page.text
    assert "Passed" in page.text
    altered = [("files", ("bond.json", content + b" ")), ("files", (files[1].name, files[1].content))]
    assert "Failed" in ann.post("/verify", data=form, files=altered).text
    assert ann.get(f"/api/v1{base}/proof").text.startswith("c2sp.org/tlog-proof@v1\n")
    by_number = get(ann, f"/audit/demo/entries/{shown['index']}")
    assert by_number["record"] == record


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"{" * 100_000, b"\x30\x80" * 50_000, b"%PDF-1.7\n"])
def test_hostile_files_are_read_elsewhere_and_judged(dora: Visitor, content: bytes) -> None:
    """What is malformed gets a verdict or a refusal, and the service stays up."""
    name = "<img src=x>\u202e.asice"
    sent = dora.post("/verify", data={"csrf": dora.csrf}, files=[("files", (name, content))])
    assert sent.status_code in {200, 422}, sent.text
    assert "<img src=x>" not in sent.text
    assert "\u202e" not in sent.text
    assert dora.get("/me").status_code == 200


def test_more_than_the_page_takes_is_refused(ann: Visitor) -> None:
    large = [("files", (f"{number}.bin", bytes(6 * 1024 * 1024))) for number in range(2)]
    sent = ann.post("/verify", data={"csrf": ann.csrf}, files=large)
    assert sent.status_code == 413
    assert "10 MiB" in sent.text
    assert ann.post("/verify", data={"csrf": ann.csrf}, files=[("files", ("", b""))]).status_code == 422


@pytest.mark.parametrize("which", ["99999999", "-1", "1.5", "0x1", "aa", "z" * 44, "0" * 44, "9" * 30])
def test_what_names_no_entry_is_not_found(ann: Visitor, which: str) -> None:
    assert ann.get(f"/api/v1/audit/demo/entries/{which}").status_code == 404


# Audit


def test_looking_is_on_record_with_the_person(managed: ManagedBox, ann: Visitor) -> None:
    managed.sealed()
    assert get(ann, "/audit/demo", kind="seal")["recorded"] is True
    newest = get(ann, "/audit/demo", kind="administration", text="content-read")["entries"][0]
    said = json.loads(newest["content"])
    assert said["person"] == "ann"
    assert json.loads(said["filter"]) == {"kinds": ["seal"]}


def test_filters_narrow_and_pages_follow_each_other(managed: ManagedBox, ann: Visitor) -> None:
    for number in range(3):
        managed.sealed(f"page {number}".encode())

    def indexed() -> bool:
        page = get(ann, "/audit/demo", kind="ceremony")  # a look that leaves no record itself
        return bool(page["indexed"] == page["size"])

    wait_until(indexed, 10, "the index")
    all_of = [one["index"] for one in get(ann, "/audit/@box", oldest="on")["entries"]]
    assert all_of == sorted(all_of)
    assert {one["kind"] for one in get(ann, "/audit/demo", kind="seal")["entries"]} == {"seal"}
    nothing = get(ann, "/audit/demo", since="2036-01-01T00:00")
    assert nothing["entries"] == []
    page = get(ann, "/audit/demo", cursor="2")
    assert max(one["index"] for one in page["entries"]) == 1
    assert get(ann, "/audit/demo/counts")["days"][0]["counts"]["seal"] >= 3


@pytest.mark.parametrize(
    "query",
    [{"since": "yesterday"}, {"until": "99999-01-01"}, {"cursor": "x"}, {"cursor": "-5"}, {"text": "x" * 300},
     {"kind": "k" * 80}, {"since": "2036-01-01T00:00", "until": "2020-01-01T00:00"}],
    ids=str,
)  # fmt: skip
def test_a_filter_that_cannot_be_understood_is_refused(ann: Visitor, query: dict[str, str]) -> None:
    answer = ann.get("/api/v1/audit/demo", params=query)
    assert answer.status_code in {400, 422}, answer.text
    assert ann.get("/audit/demo", params=query).status_code == answer.status_code


def test_exports_stream_and_are_of_one_scope_alone(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    managed.sealed()
    for form in ("asice", "jsonl", "csv"):
        begun = ann.post("/audit/demo/exports", data={"form": form, "csrf": ann.csrf})
        assert begun.status_code == 303, begun.text
        path = begun.headers["Location"]
        shown = made(ann, path)
        assert shown["done"] == shown["range"] == shown["shown"]
        for file in shown["files"]:
            sent = ann.get(f"{path}/files/{file['number']}")
            assert sent.status_code == 200
            assert len(sent.content) == file["size"]
            assert sent.headers["Content-Disposition"] == f'attachment; filename="{file["name"]}"'
            assert sent.headers["Content-Type"] == "application/octet-stream"
            assert dora.get(f"/api/v1{path}/files/{file['number']}").status_code == 404
        assert ann.get(f"{path}/files/9").status_code == 404
        assert dora.get(f"/api/v1{path}").status_code == dora.get(f"/api/v1/live{path}").status_code == 404
        assert dora.post(f"/api/v1{path}/cancel", json={}).status_code == 404
    assert path.rpartition("/")[2] in {one["export"] for one in get(ann, "/audit/demo/exports")["exports"]}
    assert get(dora, "/audit/other/exports")["exports"] == []


@pytest.mark.parametrize("body", [{"form": "xml"}, {"form": 7}, {"since": "x"}, {"surplus": 1}], ids=str)
def test_a_bad_export_is_refused(ann: Visitor, body: dict[str, Any]) -> None:
    assert ann.post("/api/v1/audit/demo/exports", json=body).status_code == 422


def test_an_auditor_exports_and_does_nothing_else(managed: ManagedBox, ann: Visitor) -> None:
    reader = auditor(managed, ann, "vic", "tenant/demo")
    begun = reader.post("/api/v1/audit/demo/exports", json={"form": "csv"})
    assert begun.status_code == 200
    made(reader, begun.json()["next"])
    assert reader.post("/api/v1/audit/@box/exports", json={"form": "csv"}).status_code == 404
    assert [one["owner"] for one in get(reader, "/audit")["logs"]] == ["demo"]


def test_a_supervisor_sees_heads_and_ceremonies_and_no_content(managed: ManagedBox, ann: Visitor) -> None:
    reader = auditor(managed, ann, "sue", "tenant/demo", role="supervisor")
    shown = get(reader, "/supervision")
    assert [head["owner"] for head in shown["heads"]] == ["demo"]
    head = shown["heads"][0]
    assert head["checkpoint"].startswith(f"{head['origin']}\n{head['size']}\n")
    assert {one["scope"] for one in shown["scopes"]} == {"tenant/demo"}
    for path in ("/audit", "/audit/demo", "/records", "/records/demo", "/sign-ins", "/settings"):
        assert reader.get(f"/api/v1{path}").status_code in {403, 404}, path


def auditor(managed: ManagedBox, ann: Visitor, person: str, scope: str, role: str = "auditor") -> Visitor:
    """A reader, named by an officer, who has come in by a one-time link of the officer's."""
    ann.sign_in()
    body = {"person": person, "name": person.title(), "role": role, "scope": scope}
    assert ann.post("/api/v1/officers/readers", json=body).status_code in {200, 409}
    made = ann.post("/api/v1/officers/invite", json={"person": person, "name": person.title()})
    assert made.status_code == 200, made.text
    visitor = managed.visitor()
    visitor.enrol(urlsplit(made.json()["link"]).path, person)
    return visitor


# The box


def test_each_part_of_the_settings_has_its_title_and_each_member_its_name(managed: ManagedBox, ann: Visitor) -> None:
    parts = {part["name"]: part for part in get(ann, "/settings")["parts"]}
    assert parts.keys() <= SETTINGS_PARTS.keys()
    assert all(one["name"] for part in parts.values() for one in part["items"])
    assert (parts["witnesses"]["ceremony"], parts["federations"]["ceremony"]) == ("set-witnesses", "create-federation")
    witness = WitnessSettings(key="w.example/w1+01234567+AAAA", url="https://w.example")
    assert item_of(msgspec.to_builtins(witness)).name == "w.example/w1"


def test_settings_tell_no_secret(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    text = ann.get("/api/v1/settings").text
    names = {part["name"] for part in json.loads(text)["parts"]}
    assert {"general", "tokens", "units", "front", "limits"} <= names
    for secret in ("pin_file", ".pin", "data_key", "secrets/", "environment", "SOFTHSM2_CONF"):
        assert secret not in text, secret
    assert dora.get("/api/v1/settings").status_code == 403
    assert get(ann, "/updates")["updates"] == []


def test_ledgers_are_shown_with_the_states_of_their_anchors(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    ann.sign_in()
    wait_until(lambda: bool(_ledger(ann)["trouble"]), 30, "the first try")
    ledger = _ledger(ann)
    assert (ledger["name"], ledger["type"]) == ("outside", "rfc3161")
    assert [one["state"] for one in ledger["anchors"]] == ["submitted"]
    page = ann.get("/ledgers", headers={"accept-language": "zh-CN"}).text
    assert "账本" in page
    assert "已提交账本" in page
    assert "outside" in page
    assert dora.get("/api/v1/ledgers").status_code == 403


def test_open_anchors_of_a_ledger_that_was_removed_stay_on_the_page(managed: ManagedBox, ann: Visitor) -> None:
    ann.sign_in()
    ledger = _ledger(ann, "former")
    assert (ledger["configured"], ledger["begun"], ledger["open"], ledger["trouble"]) == (False, False, 1, "")
    assert [(one["state"], one["size"]) for one in ledger["anchors"]] == [("due", 7)]
    page = ann.get("/ledgers", headers={"accept-language": "en"}).text
    assert page.count("box.json does not list this ledger any more: its open anchors (1) stay as they are.") == 1
    assert "其未完成的锚定（1 个）" in ann.get("/ledgers", headers={"accept-language": "zh-CN"}).text


def _ledger(visitor: Visitor, name: str = "outside") -> Any:
    (ledger,) = [one for one in get(visitor, "/ledgers")["ledgers"] if one["name"] == name]
    return ledger


def test_sign_ins_are_told_to_one_s_own_scopes(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    forger = managed.visitor()
    forger.passkey = ann.passkey
    assert forger.sign_in(origin="https://evil.example").status_code == 403
    events = {(one["person"], one["event"]) for one in get(ann, "/sign-ins")["visits"]}
    assert {("ann", "enrolled"), ("ann", "refused")} <= events
    assert not {person for person, _ in events} & {"dora", "eli"}
    assert {one["person"] for one in get(dora, "/sign-ins")["visits"]} <= {"dora", "eli"}


# Text of others

MARKS = "<img src=x onerror=alert(1)>\"'\u202e\u2066=cmd|' /C calc'!A0"


def test_text_of_others_does_nothing_on_any_page(managed: ManagedBox, ann: Visitor) -> None:
    """A search, which the log keeps word for word, comes back on the pages of the log."""
    managed.sealed()
    pages = [
        ann.get("/audit/demo", params={"text": MARKS, "since": "2020-01-01T00:00"}),
        ann.get("/audit/demo", params={"kind": "administration", "text": "onerror"}),
        ann.get("/audit/demo", params={"key": MARKS[:60], "application": MARKS[:60], "kind": MARKS[:60]}),
        ann.get("/records/demo", params={"text": MARKS}),
        ann.get("/audit/demo/exports", params={"key": MARKS[:60]}),
        ann.get("/audit/demo/counts", params={"key": MARKS[:60]}),
        ann.get("/audit/demo", params={"since": MARKS}),
    ]
    begun = ann.post("/audit/demo/exports", data={"form": "csv", "text": MARKS, "csrf": ann.csrf})
    pages.append(ann.get(begun.headers["Location"]))
    made(ann, begun.headers["Location"])
    for page in pages:
        assert "<img src=x" not in page.text, page.url
        assert not {"\u202e", "\u2066"} & set(page.text), page.url
    assert "\u27e8U+202E\u27e9" in pages[0].text
    assert "content-read" in pages[1].text, "the search is on record and found"
    assert "&lt;img src=x" in pages[1].text


def test_no_cell_of_a_table_is_a_formula(managed: ManagedBox, ann: Visitor) -> None:
    ann.get("/audit/demo", params={"text": "=1+1", "kind": "seal"})
    begun = ann.post("/audit/demo/exports", data={"form": "csv", "kind": "administration", "csrf": ann.csrf})
    path = begun.headers["Location"]
    made(ann, path)
    table = ann.get(f"{path}/files/0").text
    rows = list(csv.reader(io.StringIO(table)))
    assert len(rows) > 2
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row), row


def test_a_prefilled_form_shows_text_as_text(ann: Visitor) -> None:
    page = ann.get("/ceremonies/new/suspend-key", params={"actions.0.key": MARKS, "shared.x": MARKS})
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    deep = ann.get("/ceremonies/new/suspend-key", params={"actions.x.y.z": "1", "actions": "2"})
    assert deep.status_code in {200, 422}


# Without its parts


def test_a_silent_audit_process_is_said_so(tmp_path: Any) -> None:
    from appliance.audit.errors import AuditUnavailable
    from mgmt_service.audits import Audit

    with pytest.raises(AuditUnavailable):
        Audit(tmp_path / "none.sock").call("ann", lambda client: client.logs())
