"""Unattended enrolment at the keymaster: within the profile, once a secret, over crashes, never for who is stopped."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

import hsm
from appliance.box.settings import TenantSettings
from appliance.ceremonies.actions import AuthoriseEnrolment, EnrolCertificate, HoldCertificate, SetCertificateProfile
from appliance.der import OCTET_STRING, SEQUENCE, SET, tlv
from appliance.enrolment import EnrolmentFull, EnrolmentRefused, EnrolmentUnavailable, RequestRefused, SecretRefused
from appliance.enrolment.request import read_request
from appliance.errors import CinnabarError, NotFound
from appliance.keymaster.actions.applications import CertificateTaken, check_nobody_elses
from appliance.keymaster.certificates import profiles
from appliance.keymaster.certificates.enrolling import Enrolling
from firmware_tests.keymaster.room import TENANT, Bench, Life
from hsm.keys import generate_key_pair
from hsm.x509 import private_key

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def make_authority(life: Life) -> None:
    """The box's own CA, and a tenant in the settings."""
    room = life.room
    token = room.user_token("box")
    generate_key_pair(token, "box-ca", "ecdsa-p384-sha384")
    key = token.signing_key(hsm.Pkcs11Uri.parse("pkcs11:object=box-ca"), "ecdsa-p384-sha384")
    own = profiles.authority(
        profiles.name("REHEARSAL box-ca", "REHEARSAL"),
        private_key(key),
        key.public_key,
        hashes.SHA384(),
        datetime.datetime.now(datetime.UTC),
        datetime.timedelta(days=3650),
    )
    (room.home.trust / "box-ca.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
    tenant = TenantSettings(name=TENANT, token="box", data_key="secrets/none")
    room.settings = msgspec.structs.replace(room.settings, tenants=[tenant])


def request(name: str, key: Key | None = None, hosts: tuple[str, ...] = (), digest: Any = None) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    hash_algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return builder.sign(key, hash_algorithm).public_bytes(serialization.Encoding.DER)


def profile(life: Life, **changes: Any) -> SetCertificateProfile:
    end = life.engine.clock() + datetime.timedelta(days=30)
    values: dict[str, Any] = {
        "profile": "apps",
        "authority": "box-ca",
        "tenant": TENANT,
        "use": "tls-client",
        "common_name_pattern": r"app-[0-9]{1,3}",
        "days": 10,
        "most": 2,
        "until": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return SetCertificateProfile(**values | changes)


async def decide(life: Life, *actions: msgspec.Struct) -> str:
    digest = await life.submit(*actions)
    shown = await life.say(digest, "request ann", "approve bo", "approve cai")
    assert shown["state"] == "approved", shown
    return digest


async def execute(life: Life, *actions: msgspec.Struct) -> dict[str, Any]:
    """What the box's console showed meanwhile, and how it ended."""
    digest = await decide(life, *actions)
    await life.executions.execute(digest)
    secrets: list[str] = []
    for _ in range(2_000):
        row = life.room.journal.proposal(digest)
        assert row is not None
        if row.state != "executing":
            assert row.state == "executed", row.error
            return {"digest": digest, "secrets": secrets}
        for waiting in life.room.console.pending():
            number = int(str(waiting["number"]))
            secrets.append(life.room.console.take_text(number))
            life.room.console.answer(number, "")
        await asyncio.sleep(0.01)
    raise AssertionError("the execution does not end")


async def authorise(life: Life, application: str = "app-1", name: str = "apps") -> tuple[str, str]:
    done = await execute(life, AuthoriseEnrolment(tenant=TENANT, profile=name, application=application))
    (shown,) = done["secrets"]
    user, _, secret = shown.partition(":")
    return user, secret


Story = Callable[[Life, Enrolling], Awaitable[None]]


def tell(bench: Bench, story: Story, **changes: Any) -> None:
    """A founded box with an application, a profile, and the socket's methods; then the story."""

    async def body(life: Life) -> None:
        make_authority(life)
        await life.found()
        for name in ("app-1", "app-2"):
            await life.room.administer(lambda a, name=name: a.enrol_application(TENANT, name, ["*"], ceremony="00"))  # type: ignore[misc]
        await execute(life, profile(life, **changes))
        await story(life, Enrolling(life.room, life.engine.clock))

    bench.run(body)


def registered(bench: Bench, der: bytes) -> dict[str, Any] | None:
    with bench.recorder.admin() as admin:
        for row in admin.query("register"):
            if bytes(row["certificate"]) == hashlib.sha256(der).digest():
                return dict(row)
    return None


def later(bench: Bench, **shift: float) -> None:
    """The keymaster's clock goes on."""
    real = bench.now
    bench.now = lambda: real() + datetime.timedelta(**shift)


def test_one_certificate_for_one_secret(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        user, secret = await authorise(life)
        key = ec.generate_private_key(ec.SECP256R1())
        der = await enrolling.enrol(user, secret, request("app-1", key))
        made = x509.load_der_x509_certificate(der)
        made.verify_directly_issued_by(
            x509.load_pem_x509_certificate((life.room.home.trust / "box-ca.pem").read_bytes())
        )
        assert made.public_key() == key.public_key()
        assert made.subject.rfc4514_string() == "CN=app-1,O=REHEARSAL,C=CN"
        assert made.not_valid_after_utc - made.not_valid_before_utc == datetime.timedelta(days=10, minutes=5)
        row = registered(bench, der)
        assert row is not None
        assert (row["tenant"], row["application"], row["state"]) == (TENANT, "app-1", "active")
        with bench.recorder.admin() as admin:
            kept = admin.query("housekeeping", "certificate", made.subject.rfc4514_string(), 0, 10)
        assert [bytes(one[-1]) for one in kept] == [der]  # on record before it was let out
        assert (life.room.home.issued / f"{made.fingerprint(hashes.SHA256()).hex()}.pem").exists()
        # The answer was lost: the same key gets the same certificate, another key nothing.
        assert await enrolling.enrol(user, secret, request("app-1", key)) == der
        with pytest.raises(SecretRefused):
            await enrolling.enrol(user, secret, request("app-1"))
        # Wrong secrets, wrong users; and what the journal keeps is no secret.
        for said in ((user, secret.lower()), (user, ""), ("0" * 16, secret), (user, secret + "A")):
            with pytest.raises(SecretRefused):
                await enrolling.enrol(*said, request("app-1", key))
        assert secret.encode() not in bench.home.journal.read_bytes()

    tell(bench, story)


def test_two_at_once_get_one(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        user, secret = await authorise(life)
        answers = await asyncio.gather(
            *(enrolling.enrol(user, secret, request("app-1")) for _ in range(2)), return_exceptions=True
        )
        assert sum(isinstance(answer, bytes) for answer in answers) == 1
        assert sum(isinstance(answer, SecretRefused) for answer in answers) == 1

    tell(bench, story)


def test_only_what_the_profile_permits(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        user, secret = await authorise(life)

        async def refused(body: bytes, match: str) -> None:
            with pytest.raises(RequestRefused, match=match):
                await enrolling.enrol(user, secret, body)

        for name in ("app-", "app-1234", "xapp-1", "app-1\n", "app-1 ", "APP-1"):
            await refused(request(name), "does not permit|printable")
        await refused(request("app-1", hosts=("app-1",)), "no host names")
        await refused(request("app-1", rsa.generate_private_key(65_537, 2048)), "the key is none of")
        await refused(request("app-1", ec.generate_private_key(ec.SECP521R1())), "the key is none of")
        good = request("app-1")
        await refused(good[:-3] + bytes([good[-3] ^ 1]) + good[-2:], "prove|read")
        for body in (b"", b"\x30\x00", b"not base64 at all!", good[:-1], good + b"\x00", b"\xff" * 100):
            with pytest.raises(RequestRefused):
                await enrolling.enrol(user, secret, body)
        # Nothing of that used the secret up.
        for key in (ed25519.Ed25519PrivateKey.generate(),):
            assert await enrolling.enrol(user, secret, request("app-1", key))

    tell(bench, story)


def test_who_asks_and_asks_keeps_nobody_waiting(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        greedy, other = await authorise(life), await authorise(life, "app-2")
        answers = await asyncio.gather(
            *(enrolling.enrol(*greedy, request("app-1")) for _ in range(100)),
            enrolling.enrol(*other, request("app-2")),
            return_exceptions=True,
        )
        assert isinstance(answers[-1], bytes)
        assert sum(isinstance(one, EnrolmentUnavailable) for one in answers) == 98
        with pytest.raises(SecretRefused):
            await enrolling.enrol(greedy[0], "wrong", request("app-1"))

    tell(bench, story)


def test_what_has_ended_and_who_is_stopped(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        user, secret = await authorise(life)
        body = request("app-1")

        def state(state: Any, application: str | None) -> None:
            with bench.recorder.admin() as admin:
                admin.set_state(state, TENANT, application, ceremony="00")

        for who in ("app-1", None):
            state("suspended", who)
            with pytest.raises(EnrolmentRefused, match="stopped"):
                await enrolling.enrol(user, secret, body)
            state("active", who)
        life.room.home.lock.write_text("{}")
        with pytest.raises(EnrolmentUnavailable):
            await enrolling.enrol(user, secret, body)
        life.room.home.lock.unlink()
        der = await enrolling.enrol(user, secret, body)
        other = await authorise(life, "app-2")
        later(bench, days=8)  # beyond the life of a secret
        with pytest.raises(SecretRefused):
            await enrolling.enrol(*other, request("app-2"))
        later(bench, days=23)  # beyond the profile
        with pytest.raises(EnrolmentRefused, match="profile"):
            await enrolling.renew(hashlib.sha256(der).digest(), request("app-1"))

    tell(bench, story, days=60)


def test_renewal_once_by_the_certificate_in_force(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        first = await enrolling.enrol(*await authorise(life), request("app-1"))
        digest = hashlib.sha256(first).digest()
        key = ec.generate_private_key(ec.SECP384R1())
        with pytest.raises(EnrolmentRefused, match="same names"):
            await enrolling.renew(digest, request("app-2"))
        second = await enrolling.renew(digest, request("app-1", key))
        row = registered(bench, second)
        assert row is not None
        assert row["application"] == "app-1"
        assert await enrolling.renew(digest, request("app-1", key)) == second
        with pytest.raises(EnrolmentRefused, match="another key"):
            await enrolling.renew(digest, request("app-1"))
        # Two in force, and none in the second half of its life: no further one.
        with pytest.raises(EnrolmentFull):
            await enrolling.enrol(*await authorise(life, "app-2"), request("app-2"))
        with pytest.raises(EnrolmentFull):
            await enrolling.renew(hashlib.sha256(second).digest(), request("app-1"))
        later(bench, days=6)
        third = await enrolling.renew(hashlib.sha256(second).digest(), request("app-1"))
        assert x509.load_der_x509_certificate(third).not_valid_after_utc > bench.now()
        assert await enrolling.enrol(*await authorise(life, "app-2"), request("app-2"))

    tell(bench, story)


@pytest.mark.parametrize("state", ["suspended", "revoked"])
def test_a_held_or_revoked_certificate_renews_nothing(bench: Bench, state: Any) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        der = await enrolling.enrol(*await authorise(life), request("app-1"))
        digest = hashlib.sha256(der).digest()
        with bench.recorder.admin() as admin:
            admin.set_state(state, TENANT, "app-1", digest, ceremony="00")
        for presented in (digest, bytes(32)):
            with pytest.raises(EnrolmentRefused, match="not one in force"):
                await enrolling.renew(presented, request("app-1"))

    tell(bench, story)


def test_servers_certificates_are_renewed_by_the_application(bench: Bench) -> None:
    async def story(life: Life, enrolling: Enrolling) -> None:
        client = await enrolling.enrol(*await authorise(life), request("app-1"))
        await execute(
            life, profile(life, profile="servers", use="tls-server", common_name_pattern=r"[a-z]{1,20}\.example")
        )
        secret = await authorise(life, "app-1", "servers")
        for hosts in ((), ("www.example",), ("api.example", "api.test"), ("api.example", "10.0.0.1")):
            with pytest.raises(RequestRefused):
                await enrolling.enrol(*secret, request("api.example", hosts=hosts))
        server = await enrolling.enrol(*secret, request("api.example", hosts=("api.example", "www.example")))
        assert registered(bench, server) is None  # it lets nobody in
        assert x509.load_der_x509_certificate(server).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName) == ["api.example", "www.example"]
        digest = hashlib.sha256(client).digest()
        body = request("api.example", hosts=("api.example", "www.example"))
        renewed = await enrolling.renew(digest, body)
        assert await enrolling.renew(digest, body) == renewed
        with pytest.raises(EnrolmentRefused):
            await enrolling.renew(digest, request("api.example", hosts=("api.example",)))
        with pytest.raises(EnrolmentRefused):
            await enrolling.renew(hashlib.sha256(server).digest(), body)
        # It is the tenant's own, though the register of callers does not have it.
        mine = hashlib.sha256(server).hexdigest()
        await life.submit(HoldCertificate(tenant=TENANT, certificate=mine))
        with pytest.raises(NotFound):
            await life.submit(HoldCertificate(tenant=None, certificate=mine))

    tell(bench, story)


def test_a_certificate_that_is_not_let_in_yet_is_nobody_elses(bench: Bench, monkeypatch: Any) -> None:
    """A crash between issuing and the register: nobody takes it as one of his own meanwhile (CHANNEL)."""

    async def story(life: Life, enrolling: Enrolling) -> None:
        said = await authorise(life)
        body = request("app-1")
        with monkeypatch.context() as broken:
            broken.setattr(enrolling, "_let_in", None)
            with pytest.raises(TypeError):
                await enrolling.enrol(*said, body)
        (path,) = life.room.home.issued.glob("*.pem")
        made = x509.load_pem_x509_certificate(path.read_bytes())
        der = made.public_bytes(serialization.Encoding.DER)
        assert registered(bench, der) is None
        text = base64.b64encode(der).decode()
        for tenant, application in (("globex", "app-1"), (TENANT, "app-2")):
            with pytest.raises(CertificateTaken):
                check_nobody_elses(life.room, made, tenant, application)
        with pytest.raises(CertificateTaken):
            await life.submit(EnrolCertificate(tenant=TENANT, application="app-2", certificate=text))
        check_nobody_elses(life.room, made, TENANT, "app-1")

    tell(bench, story)


@pytest.mark.parametrize("place", ["sign", "record", "issued", "register"])
def test_a_crash_anywhere_leaves_one_certificate_let_in(bench: Bench, place: str, monkeypatch: Any) -> None:
    class Crash(BaseException):
        pass

    async def story(life: Life, enrolling: Enrolling) -> None:
        said = await authorise(life)
        body = request("app-1")

        def crash(*_: object, **__: object) -> Any:
            raise Crash

        with monkeypatch.context() as broken:
            if place == "sign":
                broken.setattr(profiles, "tls_client", crash)
            elif place == "record":
                broken.setattr(life.room, "record_signature", crash)
            elif place == "issued":
                broken.setattr(enrolling._kept, "issued", crash)
            else:
                broken.setattr(life.room.admin, "call", crash_after(life.room.admin.call, 1))
            with pytest.raises(BaseException, match=r".*"):
                await enrolling.enrol(*said, body)
        again = Enrolling(life.room, life.engine.clock)
        with pytest.raises(SecretRefused):  # the secret is taken by the first key
            await again.enrol(*said, request("app-1"))
        der = await again.enrol(*said, body)
        with bench.recorder.admin() as admin:
            rows = [bytes(row["certificate"]) for row in admin.query("register")]
        assert rows == [hashlib.sha256(der).digest()]

    def crash_after(call: Any, times: int) -> Any:
        left = [times]

        async def limited(function: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            return await call(function)

        return limited

    tell(bench, story)


@pytest.mark.parametrize(
    "changes",
    [
        {"common_name_pattern": "(a+)+"},
        {"common_name_pattern": "a*b*c*d*"},
        {"common_name_pattern": "(?=a)a"},
        {"tenant": "nobody"},
        {"use": "tls-server", "days": 398},
        {"authority": "tsa-ca"},
        {"until": "2020-01-01T00:00:00Z"},
    ],
)
def test_a_profile_that_cannot_hold_is_refused_when_it_is_proposed(bench: Bench, changes: dict[str, Any]) -> None:
    async def story(life: Life, _: Enrolling) -> None:
        with pytest.raises(CinnabarError):
            await life.submit(profile(life, **{"profile": "other"} | changes))

    tell(bench, story)


def test_foreign_and_unknown_profiles_are_refused_alike(bench: Bench) -> None:
    async def story(life: Life, _: Enrolling) -> None:
        said = []
        for name in ("apps", "nothing"):
            with pytest.raises(CinnabarError) as refused:
                await life.submit(AuthoriseEnrolment(tenant="other", profile=name, application="app-1"))
            said.append((refused.value.code, str(refused.value)))
        assert len(set(said)) == 1

    tell(bench, story)


def odd_request(what: str) -> bytes:
    """A request that is well signed, and that the library will not take apart."""
    key = ec.generate_private_key(ec.SECP256R1())
    value = {
        "x400-name": "3004a3023000",
        "edi-name": "3007a505a1030c0178",
        "unknown-feature": "3003020163",
    }.get(what)
    version, extensions = (1, b"") if value is None else (0, bytes.fromhex(value))
    oid = bytes.fromhex("06082b06010505070118" if what == "unknown-feature" else "0603551d11")
    wanted = tlv(SEQUENCE, tlv(SEQUENCE, oid + tlv(OCTET_STRING, extensions)))
    attribute = tlv(SEQUENCE, bytes.fromhex("06092a864886f70d01090e") + tlv(SET, wanted))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app-1")]).public_bytes()
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    info = tlv(SEQUENCE, bytes([2, 1, version]) + name + public + tlv(0xA0, attribute if extensions else b""))
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    return tlv(SEQUENCE, info + bytes.fromhex("300a06082a8648ce3d040302") + tlv(3, b"\0" + signature))


@pytest.mark.parametrize("what", ["version", "x400-name", "edi-name", "unknown-feature"])
def test_a_request_that_the_library_does_not_know_is_refused_as_one(what: str) -> None:
    """Not an internal error of the box's."""
    with pytest.raises(RequestRefused):
        read_request(odd_request(what))


def test_a_request_that_another_sent_enrols_nobody(bench: Bench) -> None:
    """A proof of possession is no secret: who replays it gets no certificate over a key that is another's, and keeps
    nobody from having his own enrolled."""

    async def story(life: Life, enrolling: Enrolling) -> None:
        sent = request("app-1")
        owner = await enrolling.enrol(*await authorise(life, "app-1"), sent)
        with pytest.raises((RequestRefused, EnrolmentRefused)):
            await enrolling.enrol(*await authorise(life, "app-2"), sent)
        check_nobody_elses(life.room, x509.load_der_x509_certificate(owner), TENANT, "app-1")

    tell(bench, story)
