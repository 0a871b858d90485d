"""A dry run of every template on a real box, its transcript held to a golden file; each bundle holds offline.

What differs from run to run (keys, digests, ids, times, salts) is masked. After a change that is meant, make the files
anew with CINNABAR_GOLDEN=write and read the difference.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.box.adapters import adapter_files
from appliance.box.kinds import kinds_of
from appliance.box.partners import newest_profile
from appliance.box.settings import read_settings
from appliance.ceremonies import bundle as form
from appliance.ceremonies.actions import (
    AdmitToFederation,
    AmendConstitution,
    BackUpKeys,
    DeactivateKey,
    DestroyKey,
    GenerateKey,
    InitialiseToken,
    RestoreKeys,
    ResumeTenant,
    Unlock,
    WithdrawSeal,
)
from appliance.ceremonies.bundle import unpack
from appliance.errors import CinnabarError
from appliance.evidence import Indication, NamedBytes, read_bundle, verify
from appliance.evidence.directory import read_directory
from appliance.keymaster.console.client import ConsoleClient
from appliance.letters.seal_object import read_seal_object
from appliance.letters.shipped import shipped
from appliance.log.note import COSIGNATURE_V1, VerifierKey
from firmware_tests.gateway.partner import Party
from firmware_tests.governed import Governed, governed
from firmware_tests.running import RunningBox, wait_until
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import softhsm_module
from mgmt_service import scripts
from mgmt_service.writing import OfficersForm, ScopeForm, actions_of, amended
from provisioning.rehearsal_seal import draw_seal

GOLDEN = Path(__file__).parent / "golden"
_HEX = re.compile(r"\b[0-9a-f]{8,}\b")
_COUNTS = re.compile(r"\d+ entries|words [\d, ]+ of your share")
_CREDENTIAL = re.compile(r"passkey [A-Za-z0-9_-]{43}")
_WORDS = re.compile(r"(?:\b[a-z]{3,8}\b ){23}[a-z]{3,8}\b")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| UTC|\+00:00)?")
_VOLATILE = frozenset(
    ("time", "begun", "ended", "submitted", "received", "asked", "made", "verifier", "trust_bundle", "from_size")
)
UNTIL = "2099-01-01T00:00:00Z"
CERTIFIED: dict[str, Any] = {
    "authority": "seal-ca", "common_name": "Demo Bank 示范银行", "organisation": "Demo Bank", "country": "CN",
    "days": 365,
}  # fmt: skip


@pytest.fixture(scope="module")
def forwarding(forwarder_library: Path, open_directory: Path) -> Forwarder:
    """The module between the box and tenant other's token, which takes it away and brings it back."""
    directory = open_directory / "golden-module"
    directory.mkdir()
    made = Forwarder(forwarder_library, softhsm_module(), directory)
    for path in directory.iterdir():
        path.chmod(0o666 if path.suffix == ".control" else 0o755)
    return made


@pytest.fixture(scope="module")
def stage(open_directory: Path, forwarding: Forwarder) -> Iterator[Governed]:
    def prepare(box: RunningBox) -> None:
        text = box.home.settings.read_text()
        settings = json.loads(text)
        for token in settings["tokens"]:
            if token["name"] == "other":
                token["uri"] = token["uri"].replace(softhsm_module(), forwarding.module)
                assert forwarding.module in token["uri"]
        other = next(one for one in settings["tenants"] if one["name"] == "other")
        other["uniqueness_key"] = None  # a ceremony gives it one
        settings["filing_hosts"] = ["fund.example:443"]
        box.home.settings.write_text(json.dumps(settings))

    made = governed(open_directory / "golden", "demo", "other", prepare=prepare)
    for name in ("dora", "eli", "fay"):
        made.enrol(name)
    yield made
    assert made.box.stop() == 0, made.box.said()


def written(slug: str, shared: Mapping[str, Any], *members: Mapping[str, Any]) -> list[msgspec.Struct]:
    """The template's actions as its form, filled in so, gives them."""
    script = scripts.BY_SLUG[slug]
    return actions_of(
        script, shared, [{**step.preset, **given} for step, given in zip(script.steps, members, strict=True)]
    )


def masked(value: Any, name: str = "") -> Any:
    """The transcript without what no two runs have in common."""
    if isinstance(value, dict):
        return {key: masked(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [masked(one) for one in value]
    if name in _VOLATILE and value is not None:
        return "#"
    if isinstance(value, str):
        return blank(value)
    return value


def blank(text: str) -> str:
    """A text without what no two runs have in common."""
    text = _CREDENTIAL.sub("passkey <id>", text)
    return _COUNTS.sub("#", _INSTANT.sub("<time>", _HEX.sub("<hex>", text)))


def check(stage: Governed, digest: str, golden: str) -> dict[str, bytes]:
    """Hold the ceremony's bundle to the verifier, and its transcript to the golden file. The bundle's members."""
    content = stage.bundle(digest)
    trust = read_bundle(read_directory(stage.box.home.trust), None)
    report = verify([NamedBytes("ceremony.asice", content)], trust, now_us=time.time_ns() // 1000)
    wrong = [
        check for part in report.files[0].parts for check in part.checks if check.outcome not in {"passed", "note"}
    ]
    assert report.indication is Indication.PASSED, wrong
    members = unpack(content)
    transcript = masked(json.loads(members[form.TRANSCRIPT]))
    found = {
        "transcript": transcript,
        "script": [_WORDS.sub("<words>", blank(line)) for line in members[form.SCRIPTS["en"]].decode().splitlines()],
        "members": form.order(members),
    }
    path = GOLDEN / f"{golden}.json"
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("CINNABAR_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs: a template or a transcript has changed"
    return members


class Custodians:
    """The person at the console: writes shares down, types words of them back, and later the shares."""

    def __init__(self, stage: Governed) -> None:
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.shares: dict[str, list[str]] = {}

    def __enter__(self) -> Custodians:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        with ConsoleClient(self._stage.box.home.console_socket) as console:
            while not self._stop.wait(0.05):
                for row in console.pending():
                    self._serve(console, int(row["number"]), str(row["kind"]), str(row["prompt"]))

    def _serve(self, console: ConsoleClient, number: int, kind: str, prompt: str) -> None:
        person = re.search(r"\((\w+)\)", prompt)
        if kind == "show":
            assert person is not None
            self.shares[person[1]] = re.findall(r"\d+ ([a-z]+)", console.text(number).split("\n\n", 1)[1])
            console.answer(number, "")
            return
        asked = re.search(r"words ([\d, ]+) of your share", prompt)
        if asked is not None and person is not None:
            console.answer(number, " ".join(self.shares[person[1]][int(one) - 1] for one in asked[1].split(", ")))
            return
        token = re.search(r"security officer's PIN of token (\w+)", prompt)
        if token is not None:
            kept = self._stage.box.home.secrets / f"{token[1]}.so-pin"
            console.answer(number, kept.read_text().strip())
            return
        turn = re.search(r"Share (\d) of", prompt)
        assert turn is not None, prompt
        console.answer(number, " ".join(self.shares[("ann", "bo", "cai")[int(turn[1]) - 1]]))


def seal_key(key: str, tenant: str = "demo", **more: Any) -> list[msgspec.Struct]:
    shared = {"tenant": tenant, "token": tenant, "key": key}
    made = {"until": UNTIL, "scheme": "ecdsa-p256-sha256", **more}
    return written("seal-key", shared, made, CERTIFIED, {})


def test_seal_key(stage: Governed) -> None:
    digest = stage.decide(seal_key("letters-2027", for_backup=True), title="A seal key")
    members = check(stage, digest, "seal-key")
    assert any(name.endswith(".pem") for name in members)


def test_rotate_a_key(stage: Governed) -> None:
    stage.decide(seal_key("old"))
    made = {"until": UNTIL, "scheme": "ecdsa-p384-sha384", "purpose": "seal"}
    shared = {"tenant": "demo", "token": "demo", "key": "old", "successor": "new"}
    digest = stage.decide(written("rotate-a-key", shared, made, CERTIFIED, {"overlap_hours": 1}), title="A new key")
    check(stage, digest, "rotate-a-key")


def test_suspend_a_key(stage: Governed) -> None:
    """At once, on one officer's word: her statement is the execution."""
    stage.decide(seal_key("stopped"))
    digest = stage.submit(written("suspend-key", {}, {"tenant": "demo", "key": "stopped"}), "Stop", requester="bo")
    assert stage.say(digest, "take-away bo")["state"] == "executed"
    check(stage, digest, "suspend-key")


def test_back_up_and_restore_keys(stage: Governed) -> None:
    stage.decide(seal_key("kept", for_backup=True))
    actions = written(
        "back-up-keys", {}, {"tenant": "demo", "keys": ["kept"], "custodians": ["ann", "bo", "cai"], "threshold": 2}
    )
    with Custodians(stage) as custodians:
        digest = stage.decide(actions, title="A backup")
        members = check(stage, digest, "back-up-keys")
        assert sorted(custodians.shares) == ["ann", "bo", "cai"]
        for share in custodians.shares.values():
            assert not any(" ".join(share[:4]).encode() in one for one in members.values())
        facts = json.loads(members[form.TRANSCRIPT])["steps"][0]["facts"]
        stopped = stage.submit([DeactivateKey(tenant="demo", key="kept")])
        assert stage.say(stopped, "take-away ann")["state"] == "executed"
        with stage.desk() as desk:
            (key,) = [one for one in desk.call("keys", "tenant/demo") if one["name"] == "kept"]
        stage.decide([DestroyKey(tenant="demo", key="kept", public_key=key["public_key"])], title="Destroyed")
        restoring = written(
            "restore-keys", {}, {"tenant": "demo", "backup": facts["backup"], "keys": ["kept"], "token": "demo"}
        )
        check(stage, stage.decide(restoring, title="Back again"), "restore-keys")
    with stage.desk() as desk:
        (key,) = [one for one in desk.call("keys", "tenant/demo") if one["name"] == "kept"]
    assert key["state"] == "pre-active", "what was destroyed begins again, and is explained to whoever compares"


def test_a_token_with_restored_keys_stands_by(stage: Governed, forwarding: Forwarder) -> None:
    """The first token goes away and its tenant seals on; it comes back, and the other one is taken out again."""
    stage.decide(seal_key("lasting", "other", for_backup=True))
    stage.decide([InitialiseToken(tenant=None, token="spare")])
    custodians = ["ann", "bo", "cai"]
    with Custodians(stage):
        made = stage.decide([BackUpKeys(tenant="other", keys=["lasting"], custodians=custodians, threshold=2)])
        backup = json.loads(unpack(stage.bundle(made))[form.TRANSCRIPT])["steps"][0]["facts"]["backup"]
        pair = {"tenant": "other", "token": "other", "standby": "spare"}
        with pytest.raises(CinnabarError, match="no key of other was restored"):
            stage.submit(written("set-standby", {}, pair))
        stage.decide([RestoreKeys(tenant="other", backup=backup, keys=["lasting"], token="spare")])
    check(stage, stage.decide(written("set-standby", {}, pair), title="A standby"), "set-standby")
    settings = {token.name: token for token in read_settings(stage.box.home.settings).tokens}
    assert settings["other"].standby_uri == settings["spare"].uri
    seal(stage)
    forwarding.remove_token()
    before = forwarding.calls()
    for _ in range(5):
        seal(stage)
    assert forwarding.calls() <= before + 1, "the token that is gone signs"
    forwarding.insert_token()
    wait_until(lambda: sealed_by_first(stage, forwarding), 20, "the first token's return")
    check(stage, stage.decide(written("end-standby", {}, pair), title="Out again"), "end-standby")
    assert all(token.standby_uri is None for token in read_settings(stage.box.home.settings).tokens)
    seal(stage)
    with pytest.raises(CinnabarError, match="does not stand by"):
        stage.submit(written("end-standby", {}, pair))
    stopped = stage.submit([DeactivateKey(tenant="other", key="lasting")])
    assert stage.say(stopped, "take-away ann")["state"] == "executed"
    assert {(one["token"], one["state"]) for one in keys_called(stage, "lasting")} == {
        ("other", "deactivated"),
        ("spare", "deactivated"),
    }
    (public_key,) = {one["public_key"] for one in keys_called(stage, "lasting")}
    stage.decide([DestroyKey(tenant="other", key="lasting", public_key=public_key)])
    assert {one["state"] for one in keys_called(stage, "lasting")} == {"destroyed"}


def keys_called(stage: Governed, name: str) -> list[dict[str, Any]]:
    with stage.desk() as desk:
        return [one for one in desk.call("keys", "tenant/other") if one["name"] == name]


def seal(stage: Governed) -> None:
    with stage.box.http("other") as client:
        document = base64.b64encode(b"a letter").decode()
        answer = client.post("/v1/seals", json={"document": document, "key": "lasting"})
        assert answer.status_code == 200, answer.text


def sealed_by_first(stage: Governed, forwarding: Forwarder) -> bool:
    before = forwarding.calls("C_SignInit")
    seal(stage)
    return forwarding.calls("C_SignInit") > before


def test_an_authority(stage: Governed) -> None:
    made = {"until": UNTIL, "scheme": "ecdsa-p384-sha384"}
    named = {"common_name": "Demo letters CA", "organisation": "Demo", "country": "CN", "days": 3650, "role": "seal"}
    actions = written("new-authority", {"token": "box", "key": "letters-ca"}, made, named, {})
    check(stage, stage.decide(actions, title="An authority"), "new-authority")
    certified = {**CERTIFIED, "authority": "letters-ca"}
    shared = {"tenant": "demo", "token": "demo", "key": "by-letters-ca"}
    stage.decide(written("seal-key", shared, {"until": UNTIL, "scheme": "ecdsa-p256-sha256"}, certified, {}))


def test_a_tenant_is_renamed(stage: Governed) -> None:
    """The next certificates carry the name, and no other is issued."""
    renaming = written("rename-tenant", {}, {"name": "demo", "title": "Renamed Bank 更名银行"})
    check(stage, stage.decide(renaming, title="A new name"), "rename-tenant")
    with pytest.raises(CinnabarError, match="Renamed Bank"):
        stage.submit(seal_key("old-name"))
    named = {**CERTIFIED, "organisation": "Renamed Bank 更名银行", "common_name": "Renamed Bank 更名银行 letters"}
    shared = {"tenant": "demo", "token": "demo", "key": "new-name"}
    stage.decide(written("seal-key", shared, {"until": UNTIL, "scheme": "ecdsa-p256-sha256"}, named, {}))


def test_tenants_applications_and_quotas(stage: Governed) -> None:
    quota = written("set-quota", {}, {"name": "demo", "quota": {"signatures": 1000, "stamps": 5000}})
    check(stage, stage.decide(quota, title="A quota"), "set-quota")
    certificate = (stage.box.home.clients / "demo-app.crt").read_text()
    application = written(
        "enrol-application", {"tenant": "demo", "application": "demo-app"}, {"permissions": ["*"]},
        {"certificate": certificate},
    )  # fmt: skip
    check(stage, stage.decide(application, title="A program"), "enrol-application")


def test_witnesses_ends_of_algorithms_and_a_renewal_of_logs(stage: Governed) -> None:
    key = str(VerifierKey("witness.regulator.example", bytes(range(32)), COSIGNATURE_V1))
    newcomer = {"verifier_key": key, "address": "https://witness.regulator.example"}
    witnesses = written("set-witnesses", {}, {"tenant": "demo", "newcomers": [newcomer], "needed": 1})
    check(stage, stage.decide(witnesses, title="A witness"), "set-witnesses")
    stage.decide(written("set-witnesses", {}, {"tenant": "demo", "witnesses": [], "needed": 0}), title="And none")
    ends = [{"algorithm": "rsa", "below_bits": 3000, "until": UNTIL}]
    algorithms = written("set-algorithm-ends", {}, {"ends": ends})
    check(stage, stage.decide(algorithms, title="An end"), "set-algorithm-ends")
    check(stage, stage.decide(written("renew-logs", {}, {"hash": "sm3"}), title="Another hash"), "renew-logs")


def test_a_kind_of_letter_is_installed(stage: Governed) -> None:
    """What the officers read is the file's own digest, and the bytes that they read are installed."""
    text = shipped()["bid-bond"].replace(b'id = "bid-bond"', b'id = "golden-bond"')
    actions = written("install-kind", {}, {"tenant": "demo", "file": text.decode().replace("\n", "\r\n")})
    members = check(stage, stage.decide(actions, title="A bid bond"), "install-kind")
    digest = hashlib.sha256(text).hexdigest()
    assert digest in members[form.SCRIPTS["en"]].decode()
    assert text in kinds_of(stage.box.home, "demo")
    with pytest.raises(CinnabarError, match="version 3 of golden-bond does not follow 3"):
        stage.submit(written("install-kind", {}, {"tenant": "demo", "file": text.decode() + "# other\n"}))


def test_release_keys(stage: Governed) -> None:
    """A token and a key of its own, its successor, and the end of the first, which says how much is lost with it."""
    shared = {"tenant": "demo", "token": "demo-opening", "key": "opening-1"}
    named = {**CERTIFIED, "organisation": "Renamed Bank 更名银行", "common_name": "Renamed Bank 更名银行 bids"}
    made = written("release-key", shared, {}, {"until": UNTIL}, named, {})
    check(stage, stage.decide(made, title="A release key"), "release-key")
    shared |= {"successor": "opening-2"}
    rotating = written("rotate-a-release-key", shared, {"until": UNTIL}, named, {"overlap_hours": 0})
    check(stage, stage.decide(rotating, title="Its successor"), "rotate-a-release-key")
    wait_until(lambda: release_key(stage, "opening-1")["state"] == "deactivated", 60, "the end of the overlap")
    public_key = release_key(stage, "opening-1")["public_key"]
    with pytest.raises(CinnabarError, match="destroy-release-key"):
        stage.submit([DestroyKey(tenant="demo", key="opening-1", public_key=public_key)])
    gone = {"tenant": "demo", "key": "opening-1", "public_key": public_key}
    with pytest.raises(CinnabarError, match="0 values that were veiled"):
        stage.submit(written("destroy-a-release-key", {}, {**gone, "unopened": 1}))
    check(stage, stage.decide(written("destroy-a-release-key", {}, {**gone, "unopened": 0})), "destroy-a-release-key")
    with stage.box.http("demo") as client:
        assert len(client.get("/v1/release-key").json()["chain"]) == 2


def release_key(stage: Governed, name: str) -> dict[str, Any]:
    with stage.desk() as desk:
        (found,) = [one for one in desk.call("keys", "tenant/demo") if one["name"] == name]
    return dict(found)


def test_partners_and_the_key_of_their_messages(stage: Governed, tmp_path: Path) -> None:
    """Keys follow each other and the two newest open; a profile names what is there."""
    for number in range(2):
        actions = written("message-key", {}, {"tenant": "demo", "token": "demo-release"})
        members = check(stage, stage.decide(actions, title="Messages"), "message-key")
        tenant = next(one for one in read_settings(stage.box.home.settings).tenants if one.name == "demo")
        assert len(tenant.message_keys) == 2
        assert any(name.endswith("public-key.der") for name in members), number
    assert all(one.key_uri != "pkcs11:object=demo-message-1" for one in tenant.message_keys)
    for token in ("other-release", "demo", "none"):
        with pytest.raises(CinnabarError, match="no such token"):
            stage.submit(written("message-key", {}, {"tenant": "demo", "token": token}))
    party = Party(tmp_path)
    profile = {
        "tenant": "demo", "partner": "srm", "title": "供应链 SRM", "format": "envelope", "sign": "ES256",
        "sign_certificates": (tmp_path / "sign.crt").read_text(),
        "encrypt_certificate": (tmp_path / "encrypt.crt").read_text(), "answer_key": "demo-seal",
        "calls": "begin letter", "kinds": "bid-bond", "window_s": "300",
    }  # fmt: skip
    members = check(stage, stage.decide(written("set-partner", {}, profile), title="A partner"), "set-partner")
    kept = newest_profile(stage.box.home, "demo", "srm")
    assert kept is not None
    assert base64.b64decode(kept.sign_certificates[0]) == party.certificate("sign")
    assert any(name.endswith("srm-1.json") for name in members)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"answer_key": "other-seal"}, "answer_key"),
        ({"kinds": "no-such-kind"}, "kinds"),
        ({"sign": "RS256"}, "sign_certificates"),
        (
            {"encrypt_certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            "encrypt_certificate",
        ),
    ]
    for changed, where in wrong:
        with pytest.raises(CinnabarError, match=where):
            stage.submit(written("set-partner", {}, profile | changed))


def test_an_adapter_is_installed(stage: Governed) -> None:
    """What the officers read is every line of the file, and the bytes that they read are installed."""
    text = (Path(__file__).parents[1] / "filing" / "fund.toml").read_text()
    made = check(
        stage, stage.decide(written("install-adapter", {}, {"tenant": "demo", "adapter": text})), "install-adapter"
    )
    assert hashlib.sha256(text.encode()).hexdigest() in made[form.SCRIPTS["en"]].decode()
    (kept,) = adapter_files(stage.box.home, "demo")
    assert kept.read_text() == text
    for changed, why in ((text.replace("fund.example", "elsewhere.example"), "filing_hosts"), (text + "#", "follow")):
        with pytest.raises(CinnabarError, match=why):
            stage.submit(written("install-adapter", {}, {"tenant": "demo", "adapter": changed}))


def test_a_key_of_uniqueness(stage: Governed) -> None:
    """Made where there is none, and never again."""
    actions = written("uniqueness-key", {}, {"tenant": "other"})
    check(stage, stage.decide(actions, title="Once"), "uniqueness-key")
    with pytest.raises(CinnabarError, match="nothing takes its place"):
        stage.submit(actions)


def test_a_federation(stage: Governed) -> None:
    """One that admitted nobody, and one that is not there, are the same to a tenant."""
    made = {"name": "guarantees", "token": "registry-2", "institutions": ["demo"]}
    check(stage, stage.decide(written("new-federation", {}, made), title="A federation"), "new-federation")
    said = set()
    for name in ("guarantees", "nobodys"):
        with pytest.raises(CinnabarError) as refused:
            stage.submit(written("join-federation", {}, {"tenant": "other", "federation": name}))
        said.add((refused.value.code, str(refused.value)))
    assert len(said) == 1, said
    member = {"tenant": "demo", "federation": "guarantees"}
    check(stage, stage.decide(written("join-federation", {}, member), title="In"), "join-federation")
    with pytest.raises(CinnabarError, match="is a member"):
        stage.submit(written("join-federation", {}, member))
    check(stage, stage.decide(written("leave-federation", {}, member), title="Out"), "leave-federation")
    with pytest.raises(CinnabarError, match="no such federation"):
        stage.submit(written("leave-federation", {}, member))
    stage.decide([AdmitToFederation(name="guarantees", institution="other")])
    stage.decide(written("join-federation", {}, {"tenant": "other", "federation": "guarantees"}))
    (found,) = [one for one in read_settings(stage.box.home.settings).federations if one.name == "guarantees"]
    assert (found.institutions, found.tenants) == (["demo", "other"], ["other"])


def test_a_seal_is_registered_and_withdrawn(stage: Governed) -> None:
    """What the officers read is the picture's digest; a picture that holds more than a picture is refused before."""
    image, certificate = draw_seal("Demo Bank"), "ab" * 32
    members = {
        "tenant": "demo", "seal": "contracts", "title": "Demo Bank 合同专用章", "seal_type": "contract",
        "image": base64.b64encode(image).decode(), "side_mm": "40", "not_before": "2026-01-01T00:00:00Z",
        "not_after": UNTIL, "certificates": certificate,
    }  # fmt: skip
    refused = [
        ({"image": base64.b64encode(image + b"PK").decode()}, "the picture is refused: image: the PNG"),
        ({"image": base64.b64encode(b"<svg/>").decode()}, "no PNG"),
        ({"not_before": UNTIL, "not_after": "2026-01-01T00:00:00Z"}, "begins before it ends"),
        ({"certificates": f"{certificate} {certificate}"}, "named once"),
    ]
    for changed, says in refused:
        with pytest.raises(CinnabarError, match=says):
            stage.submit(written("register-seal", {}, members | changed))
    made = check(stage, stage.decide(written("register-seal", {}, members), title="A seal"), "register-seal")
    assert hashlib.sha256(image).hexdigest() in made[form.SCRIPTS["en"]].decode()
    with stage.desk() as desk:
        mine = {one.seal: one for one in map(read_seal_object, desk.seal_objects("demo"))}
    assert (mine["contracts"].png(), mine["contracts"].version, mine["contracts"].withdrawn) == (image, 1, False)
    withdrawn = stage.submit([WithdrawSeal(tenant="demo", seal="contracts", because="It is worn.")], requester="ann")
    assert stage.say(withdrawn, "take-away ann")["state"] == "executed"
    with stage.desk() as desk:
        now = {one.seal: one for one in map(read_seal_object, desk.seal_objects("demo"))}["contracts"]
    assert (now.version, now.withdrawn, now.image) == (2, True, "")
    with pytest.raises(CinnabarError, match="no such seal object"):
        stage.submit([WithdrawSeal(tenant="demo", seal="nothing", because="It is worn.")])


LIMITS = """format = "cinnabar-limits/1"
version = 1

[[limits]]
counter = "bid-bond/bidder"
currency = "CNY"
tiers = [{ up_to = "5000000" }]
warn_at = ["85"]
"""


def test_limits_of_letters_and_issuing_that_stops(stage: Governed) -> None:
    """One officer's word stops issuing at once; only the quorum lets it go on, and not what was stopped again since."""
    shared = {"tenant": "demo"}
    setting = written("set-letter-terms", {}, shared | {"terms": LIMITS.replace("\n", "\r\n")})
    members = check(stage, stage.decide(setting, title="Limits"), "set-letter-terms")
    assert "up to 5000000 CNY by itself; above it refused" in members[form.SCRIPTS["en"]].decode()
    with stage.box.admin() as admin:
        assert [row[3] for row in admin.query("letter_terms", "demo")] == [LIMITS.encode()]
    for wrong, said in ((LIMITS + "# other\n", "does not follow 1"), (LIMITS.replace("bidder", "bitter"), "bitter")):
        with pytest.raises(CinnabarError, match=said):
            stage.submit(written("set-letter-terms", {}, shared | {"terms": wrong}))

    kind = shared | {"kind": "bid-bond", "because": "A rumour"}
    with pytest.raises(CinnabarError, match="nothing is stopped"):
        stage.submit(written("resume-issuing", {}, kind))
    digest = stage.submit(written("stop-issuing", {}, kind), "Stop", requester="ann")
    assert stage.say(digest, "take-away ann")["state"] == "executed"
    check(stage, digest, "stop-issuing")
    with stage.box.admin() as admin:
        assert [(one, why) for one, _, why in admin.query("stopped_kinds", "demo")] == [("bid-bond", "A rumour")]
    check(stage, stage.decide(written("resume-issuing", {}, kind), title="Again"), "resume-issuing")
    with stage.box.admin() as admin:
        assert admin.query("stopped_kinds", "demo") == []


def test_suspend_a_tenant_and_lock(stage: Governed) -> None:
    for slug, members in (("suspend-tenant", {"name": "demo"}), ("lock", {})):
        digest = stage.submit(written(slug, {}, members), "Stop", requester="cai")
        assert stage.say(digest, "take-away cai")["state"] == "executed"
        check(stage, digest, slug)
        back = [ResumeTenant(name="demo")] if slug == "suspend-tenant" else [Unlock()]
        stage.decide(back)


def officers(stage: Governed, scope: str) -> AmendConstitution:
    """What the form for a change of officers makes: dora, eli and fay for a scope."""
    with stage.desk() as desk:
        candidates = desk.candidates()
    entered = OfficersForm(scopes=[ScopeForm(name=scope, officers=["dora", "eli", "fay"], threshold=2)])
    now = datetime.datetime.now(datetime.UTC)
    return AmendConstitution(constitution=amended(stage.law(), entered, candidates, now))


ACCEPT = ("accept dora", "accept eli", "accept fay")


def test_new_tenant_with_its_officers(stage: Governed) -> None:
    tenant = written("new-tenant", {"name": "acme"}, {"title": "Acme 公司", "token": "acme"})
    digest = stage.decide([*tenant, officers(stage, "tenant/acme")], *ACCEPT, title="A tenant")
    check(stage, digest, "new-tenant")
    own = [GenerateKey(tenant="acme", token="acme", key="acme-seal", scheme="ed25519", purpose="seal", until=UNTIL)]
    made = stage.submit(own, requester="dora")
    shown = stage.say(made, "request dora", "approve eli", "approve fay")
    assert shown["state"] == "approved"
    assert stage.execute(made)["state"] == "executed"


def test_replace_the_whole_officer_set(stage: Governed) -> None:
    digest = stage.decide([officers(stage, "tenant/demo")], *ACCEPT, title="Other people")
    check(stage, digest, "replace-officers")
    assert [one.officers for one in stage.law().scopes if one.name == "tenant/demo"] == [["dora", "eli", "fay"]]
    with pytest.raises(CinnabarError):
        stage.submit(seal_key("no-longer"))  # ann is an officer of demo no more


def test_every_template_has_a_dry_run() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == sorted(scripts.BY_SLUG)
