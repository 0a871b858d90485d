"""Ceremonies about tenants, applications and certificates: against a real recorder, each step also done twice."""

from __future__ import annotations

import base64
import dataclasses
import datetime
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.box.settings import TenantSettings
from appliance.ceremonies import Action, DocumentRefused, decode, digest, read_proposal
from appliance.ceremonies.actions import (
    ApprovalTier,
    ApproveUpdate,
    EnrolApplication,
    EnrolCertificate,
    HoldCertificate,
    Quota,
    ReleaseCertificate,
    ResumeApplication,
    ResumeTenant,
    RevokeCertificate,
    SetApprovalPolicy,
    SetQuota,
    SuspendApplication,
    SuspendTenant,
)
from appliance.errors import BadRequest, NotFound
from appliance.keymaster.actions.applications import CertificateTaken
from appliance.keymaster.actions.box import ApprovedUpdate
from appliance.keymaster.approvers import ApprovalPolicy, policies_of
from appliance.keymaster.certificates import profiles
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.errors import StoppedSince
from appliance.keymaster.registry import find_executor
from firmware_tests.keymaster.room import TENANT, Bench, Life
from firmware_tests.recorder.running import CERTIFICATE, FOREIGN

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


class Ca:
    """The box's CA for clients, in software."""

    def __init__(self, bench: Bench) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())
        subject = profiles.name("box-ca", "Test")
        own = profiles.authority(subject, self.key, self.key.public_key(), hashes.SHA384(), NOW, 10 * DAY)
        self.issuer = profiles.Issuer(own, self.key, hashes.SHA384(), "http://crl.invalid/box-ca.crl")
        (bench.home.trust / "box-ca.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def client(self, *, begins: datetime.datetime = NOW, life: datetime.timedelta = DAY) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        return profiles.tls_client(self.issuer, profiles.name("app", "Test"), key.public_key(), begins, life)

    def server(self) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        return profiles.tls_server(self.issuer, profiles.name("app", "Test"), key, NOW, DAY, ["app.example"])


def der(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


def enrolling(certificate: x509.Certificate, tenant: str | None = TENANT, application: str = "app") -> EnrolCertificate:
    return EnrolCertificate(tenant=tenant, application=application, certificate=der(certificate))


@pytest.fixture
def tenants(bench: Bench) -> Bench:
    """The bench with two tenants of the settings."""
    with bench.recorder.admin() as admin:
        admin.enrol_tenant("globex")
        admin.enrol_application("globex", "app", ["*"])
        admin.enrol_certificate("globex", "app", FOREIGN, 0, 1 << 40)
        admin.enrol_application(TENANT, "app", ["*"])
        admin.enrol_certificate(TENANT, "app", CERTIFICATE, 0, 1 << 40)
    made = [
        TenantSettings(name=name, token="box", data_key=f"secrets/{name}.content-key") for name in (TENANT, "globex")
    ]
    bench.settings = msgspec.structs.replace(bench.settings, tenants=made)
    return bench


async def execute(life: Life, *actions: Action) -> list[dict[str, Any]]:
    """Decide and execute; the facts of the steps. Every step is then run once more, and says the same."""
    if actions[0].takes_away:
        name = await life.submit(*actions)
        shown = await life.say(name, "take-away ann")
    else:
        name = await life.approved(*actions)
        shown = await life.desk.execute(name, 20.0)
    assert shown["state"] == "executed", shown["error"]
    steps = (await life.desk.proposal(name))["steps"]
    for index, action in enumerate(actions):
        row = life.engine.row(name)
        ctx = ExecutionContext(
            life.room,
            read_proposal(row.text),
            name,
            index,
            1,
            life.room.constitutions.in_force(),
            life.engine.received(name),
            life.engine.clock(),
        )
        run, _ = find_executor(action)
        again = await run(ctx, action)
        assert again.facts == steps[index]["facts"]
    return [step["facts"] for step in steps]


def query(bench: Bench, name: str, *arguments: object) -> Any:
    with bench.recorder.admin() as admin:
        return admin.query(name, *arguments)


def scene(bench: Bench, body: Callable[[Life], Awaitable[None]]) -> None:
    async def founded(life: Life) -> None:
        await life.found()
        await body(life)

    bench.run(founded)


def test_a_quota_is_set_by_a_ceremony_that_the_record_names(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        size = query(tenants, "tree_size", TENANT)
        await execute(life, SetQuota(name=TENANT, quota=Quota(signatures=5, storage_bytes=1_000)))
        assert query(tenants, "quota", TENANT)["quota"] == [5, None, 1_000]
        assert query(tenants, "tree_size", TENANT) == size + 1  # twice run, once changed
        (shown,) = [one for one in await life.desk.methods()["tenants"]() if one["name"] == TENANT]
        assert shown["quota"] == {"signatures": 5, "stamps": None, "storage_bytes": 1_000}
        rows = query(tenants, "read_records", TENANT, size, 1)
        record = msgspec.json.decode(msgspec.msgpack.decode(rows[0][7])[1])
        assert record["action"] == "set-quota"
        assert (await life.desk.proposal(record["ceremony"]))["state"] == "executed"

    scene(tenants, body)


def test_one_word_suspends_a_tenant_and_a_quorum_resumes_it(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        await execute(life, SuspendTenant(name=TENANT))
        assert dict(query(tenants, "register_states")["tenants"])[TENANT] == "suspended"
        await execute(life, ResumeTenant(name=TENANT))
        assert dict(query(tenants, "register_states")["tenants"])[TENANT] == "active"
        with pytest.raises(NotFound):
            await life.submit(SuspendTenant(name="nobody"))

    scene(tenants, body)


def test_applications_and_their_certificates(tenants: Bench) -> None:
    ca = Ca(tenants)
    made = ca.client()
    fingerprint = made.fingerprint(hashes.SHA256())

    async def body(life: Life) -> None:
        both = (
            EnrolApplication(tenant=TENANT, application="new", permissions=["seal", "tsu", "seal"]),
            enrolling(made, application="new"),
        )
        facts = await execute(life, *both)
        assert facts[0]["permissions"] == ["seal", "tsu"]
        assert facts[1]["certificate"] == fingerprint.hex()
        (mine,) = [one for one in await life.desk.methods()["applications"](TENANT) if one["application"] == "new"]
        assert [one["certificate"] for one in mine["certificates"]] == [fingerprint.hex()]
        for action, state in (
            (SuspendApplication(tenant=TENANT, application="new"), "suspended"),
            (ResumeApplication(tenant=TENANT, application="new"), "active"),
        ):
            await execute(life, action)
            states = query(tenants, "register_states")["applications"]
            assert [one[3] for one in states if one[:2] == [TENANT, "new"]] == [state]

    scene(tenants, body)


def test_what_cannot_be_enrolled_is_refused_before_anybody_signs(tenants: Bench) -> None:
    ca = Ca(tenants)
    stranger = Ca.__new__(Ca)
    stranger.key = ec.generate_private_key(ec.SECP384R1())
    own = profiles.authority(
        profiles.name("box-ca", "Test"), stranger.key, stranger.key.public_key(), hashes.SHA384(), NOW, 10 * DAY
    )
    stranger.issuer = dataclasses.replace(ca.issuer, certificate=own, key=stranger.key)
    made = ca.client()

    async def body(life: Life) -> None:
        for action, error in (
            (enrolling(stranger.client()), BadRequest),
            (enrolling(ca.client(begins=NOW - 3 * DAY)), BadRequest),
            (enrolling(ca.server()), BadRequest),
            (EnrolCertificate(tenant=TENANT, application="app", certificate="AAAA"), BadRequest),
            (enrolling(made, application="nobody"), NotFound),
            (enrolling(made, tenant=None), BadRequest),
            (EnrolApplication(tenant=None, application="app", permissions=[]), BadRequest),
        ):
            with pytest.raises(error):
                await life.submit(action)
        await execute(life, enrolling(made))
        await execute(life, EnrolApplication(tenant=TENANT, application="second", permissions=[]))
        with pytest.raises(CertificateTaken):
            await life.submit(enrolling(made, application="second"))
        # Two ceremonies at once: the later one finds it taken when it is executed.
        other = ca.client()
        late = await life.approved(enrolling(other, application="second"))
        await execute(life, enrolling(other))
        with pytest.raises(CertificateTaken):
            await life.desk.execute(late, 20.0)

    scene(tenants, body)


def test_a_certificate_is_held_released_and_revoked(tenants: Bench) -> None:
    held = CERTIFICATE.hex()

    async def body(life: Life) -> None:
        await execute(life, HoldCertificate(tenant=TENANT, certificate=held))
        assert [row[2:] for row in query(tenants, "certificate_states")] == [["held", ""]]
        await execute(life, ReleaseCertificate(tenant=TENANT, certificate=held))
        assert query(tenants, "certificate_states") == []
        await execute(life, RevokeCertificate(tenant=TENANT, certificate=held, reason="superseded"))
        assert [row[2:] for row in query(tenants, "certificate_states")] == [["revoked", "superseded"]]
        name = await life.approved(ReleaseCertificate(tenant=TENANT, certificate=held))
        assert (await life.desk.execute(name, 20.0))["state"] == "failed"
        assert [row[2:] for row in query(tenants, "certificate_states")] == [["revoked", "superseded"]]

    scene(tenants, body)


def test_what_was_stopped_again_since_is_given_back_by_a_new_decision_only(tenants: Bench) -> None:
    """Whoever has an approved proposal chooses when it is executed."""
    held = CERTIFICATE.hex()

    async def body(life: Life) -> None:
        for away, back in (
            (SuspendTenant(name=TENANT), ResumeTenant(name=TENANT)),
            (SuspendApplication(tenant=TENANT, application="app"), ResumeApplication(tenant=TENANT, application="app")),
            (HoldCertificate(tenant=TENANT, certificate=held), ReleaseCertificate(tenant=TENANT, certificate=held)),
        ):
            with pytest.raises(DocumentRefused, match="nothing is stopped"):
                await life.submit(back)
            await execute(life, away)
            kept, used = await life.approved(back), await life.approved(back)
            assert (await life.desk.execute(used, 20.0))["state"] == "executed"
            await execute(life, away)
            with pytest.raises(StoppedSince):
                await life.desk.execute(kept, 20.0)
            await execute(life, back)

    scene(tenants, body)


def test_nobody_touches_another_scopes_certificate_nor_learns_of_it(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        said = set()
        for tenant, certificate in ((TENANT, FOREIGN.hex()), (TENANT, "0" * 64), (None, FOREIGN.hex())):
            with pytest.raises(NotFound) as caught:
                await life.submit(HoldCertificate(tenant=tenant, certificate=certificate))
            said.add(str(caught.value))
        assert len(said) == 1

    scene(tenants, body)


def tier(up_to: str, threshold: int = 1, *approvers: str) -> ApprovalTier:
    return ApprovalTier(up_to=up_to, currency="CNY", approvers=list(approvers or ("ann", "bo")), threshold=threshold)


def test_an_approval_policy_is_kept_version_by_version(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        for threshold in (1, 2):
            tiers = [tier("1000.50", 0), tier("", threshold)]
            (facts,) = await execute(life, SetApprovalPolicy(tenant=TENANT, policy="bid-bond", tiers=tiers))
            assert facts["version"] == threshold
        texts = policies_of(tenants.home, TENANT, "bid-bond")
        first, second = (decode(text, ApprovalPolicy) for text in texts)
        assert (first.previous, second.previous) == (None, digest(texts[0]))
        assert facts["digest"] == digest(texts[1])
        assert second.tiers[1].threshold == 2
        assert await life.desk.methods()["policies"](TENANT) == [texts[1]]
        for wrong in (
            [],
            [tier("5")],
            [tier("5"), tier("5.0"), tier("")],
            [tier(""), tier("5")],
            [tier("", 3)],
            [tier("", 1, "eve")],
            [tier("", 1, "ann", "ann")],
        ):
            with pytest.raises(DocumentRefused):
                await life.submit(SetApprovalPolicy(tenant=TENANT, policy="bid-bond", tiers=wrong))

    scene(tenants, body)


def test_an_approved_update_is_kept_for_the_updater(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        await execute(life, ApproveUpdate(version="2.0", bundle="b" * 64))
        (text,) = await life.desk.methods()["updates"]()
        made = decode(text, ApprovedUpdate)
        assert (made.version, made.bundle) == ("2.0", "b" * 64)
        name = await life.approved(ApproveUpdate(version="2.1", bundle="b" * 64))
        assert (await life.desk.execute(name, 20.0))["state"] == "failed"

    scene(tenants, body)
