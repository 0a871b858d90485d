"""What `cinnabar provision` leaves: modes, names, certificates as OpenSSL reads them, CRLs, and counts that balance."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.box.home import Home
from appliance.box.kinds import kinds_of
from appliance.box.settings import read_settings
from appliance.letters.kind import read_kind
from appliance.letters.shipped import shipped
from firmware_tests.running import RunningBox, cinnabar
from firmware_tests.scenarios.runs import difference, recorder_alone

AUTHORITIES = ("box-ca", "tsa-ca", "seal-ca")
REHEARSAL_ARC = "1.3.6.1.4.1.32473.2026."


@pytest.fixture(scope="module")
def new_box(open_directory: Path) -> RunningBox:
    """A box that was provisioned and never started."""
    made = RunningBox(open_directory / "new", "alfa", "bravo")
    made.provision("--host", "signing.bank.example")
    return made


def openssl(*arguments: str | Path) -> str:
    ran = subprocess.run(("openssl", *map(str, arguments)), capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def tree(home: Home) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.root.rglob("*") if path.is_file()}


def test_a_second_time_is_refused_and_changes_nothing(new_box: RunningBox) -> None:
    before = tree(new_box.home)
    for options in ((), ("--tenant", "charlie"), ("--name", "another")):
        refused = cinnabar("provision", "--home", str(new_box.home.root), *options)
        assert refused.returncode != 0
        assert "already" in refused.stderr
    assert tree(new_box.home) == before


@pytest.mark.parametrize("name", ["box", "UPPER", "a/b", "../x", "-a", "a" * 40, "", "a b", "朱砂"])
def test_a_tenants_name_that_could_be_taken_for_something_else_is_refused(tmp_path: Path, name: str) -> None:
    assert cinnabar("provision", "--home", str(tmp_path / "home"), f"--tenant={name}").returncode == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("host", ["10.0.0.7", "::1", "UPPER.example", "a_b.example", "-a.example", "a..b", "", "7"])
def test_a_host_that_is_no_domain_name_is_refused(tmp_path: Path, host: str) -> None:
    assert cinnabar("provision", "--home", str(tmp_path / "home"), "--host", host).returncode == 2
    assert not (tmp_path / "home").exists()


def test_the_front_answers_to_the_names_that_it_was_given(new_box: RunningBox) -> None:
    certificate = new_box.home.front / "server.crt"
    for name in ("signing.bank.example", "approve.signing.bank.example", "localhost", "approve.localhost"):
        assert "does match" in openssl("x509", "-in", certificate, "-noout", "-checkhost", name)
    assert "does NOT match" in openssl("x509", "-in", certificate, "-noout", "-checkhost", "other.bank.example")
    assert read_settings(new_box.home.settings).front.management_name == "signing.bank.example"


def test_secrets_are_their_owners_alone(new_box: RunningBox) -> None:
    home = new_box.home
    pins = sorted(path.name for path in home.secrets.glob("*pin"))
    tokens = ("alfa", "alfa-release", "box", "bravo", "bravo-release", "registry")
    assert pins == sorted(f"{token}.{kind}" for token in tokens for kind in ("pin", "so-pin"))
    keys = [*home.clients.glob("*.key"), home.front / "server.key"]
    assert len(keys) == 3
    for path in (*home.secrets.iterdir(), *keys):
        assert mode(path) in {0o600, 0o400}, path
    assert mode(home.secrets) & 0o066 == 0
    assert mode(home.tokens) == 0o700
    values = {path.read_bytes() for path in home.secrets.glob("*pin")}
    assert len(values) == 2 * len(tokens)
    assert all(len(value) >= 32 for value in values)


def test_every_tenant_has_the_kinds_that_ship_and_their_federations(new_box: RunningBox) -> None:
    settings = read_settings(new_box.home.settings)
    for tenant in ("alfa", "bravo"):
        assert kinds_of(new_box.home, tenant) == list(shipped().values())
    scopes = {unique.scope for text in shipped().values() for unique in read_kind(text).kind.unique.values()}
    assert scopes - {"tenant"} <= {f"@{federation.name}" for federation in settings.federations}
    for path in new_box.home.kinds.rglob("*.toml"):
        assert mode(path) == 0o640


def test_keys_of_letters_have_one_purpose_on_tokens_of_their_own(new_box: RunningBox) -> None:
    settings = read_settings(new_box.home.settings)
    uris = {token.name: token.uri for token in settings.tokens}
    macs = [(tenant.token, tenant.uniqueness_key or "") for tenant in settings.tenants]
    macs += [(federation.token, federation.key_uri) for federation in settings.federations]
    releases = [(key.token, key.key_uri) for tenant in settings.tenants for key in tenant.release_keys]
    assert all(federation.tenants == ["alfa", "bravo"] for federation in settings.federations)
    assert (len(macs), len(releases)) == (2 + len(settings.federations), 2)
    assert {token for token, _ in releases}.isdisjoint({token for token, _ in macs})
    program = """
import sys
from pathlib import Path
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
from hsm.keys import find_weaknesses
from hsm.mac import find_mac_key_weaknesses
from hsm.policy import Purpose
for token_uri, pin, purpose, uri in zip(*[iter(sys.argv[1:])] * 4):
    token = open_token(Pkcs11Uri.parse(token_uri), PinFile(Path(pin)), LaneSettings())
    key = Pkcs11Uri.parse(uri)
    found = find_mac_key_weaknesses(token, key) if purpose == "mac" else find_weaknesses(token, key, Purpose.AGREE)
    print(purpose, sorted(one.name for one in found))
    token.close()
"""
    arguments = []
    for purpose, keys in (("mac", macs), ("agree", releases)):
        for token, uri in keys:
            arguments += [uris[token], str(new_box.home.secrets / f"{token}.pin"), purpose, uri]
    environment = {**os.environ, "SOFTHSM2_CONF": str(new_box.home.tokens / "softhsm2.conf")}
    command = [sys.executable, "-c", program, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["mac []"] * len(macs) + ["agree []"] * len(releases)


@pytest.mark.parametrize(
    "options",
    [
        ("--tenant", "registry"),
        ("--tenant", "sha512"),
        ("--tenant", "a-release"),
        ("--tenant", "a" * 25),
        ("--tenant", "a", "--federation", "f=a,b"),
        ("--tenant", "a", "--federation", "f=a,a"),
        ("--tenant", "a", "--federation", "f"),
        ("--tenant", "a", "--federation", "f=a", "--federation", "f=a"),
    ],
)
def test_names_that_would_collide_and_members_that_are_not_there_are_refused(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert cinnabar("provision", "--home", str(tmp_path / "home"), *options).returncode == 2
    assert not (tmp_path / "home").exists()


def test_no_secret_stands_anywhere_else(new_box: RunningBox) -> None:
    pins = [path.read_bytes() for path in new_box.home.secrets.glob("*pin")]
    for name, content in tree(new_box.home).items():
        if not name.endswith("pin"):
            assert not any(pin in content for pin in pins), name


def test_every_name_policy_and_origin_says_rehearsal(new_box: RunningBox) -> None:
    home = new_box.home
    settings = read_settings(home.settings)
    assert settings.rehearsal
    for unit in settings.units:
        policies = [unit.default_policy, *unit.accepted_policies]
        assert all(policy.startswith(REHEARSAL_ARC) for policy in policies)
        assert unit.accuracy_us is None, "the system clock is shown by nobody"
    assert [log.origin.split("/")[0] for log in settings.logs] == ["rehearsal.cinnabar.invalid"] * 3
    bundle = json.loads((home.trust / "bundle.json").read_bytes())
    assert bundle["rehearsal"] is True
    assert all("rehearsal" in entry["origin"] for entry in bundle["logs"])
    for path in certificates_of(home):
        for which in ("-subject", "-issuer"):
            said = openssl("x509", "-in", path, "-noout", which, "-nameopt", "RFC2253")
            assert re.search(r"CN=REHEARSAL ", said), said
            assert "O=REHEARSAL - no legal effect" in said


def certificates_of(home: Home) -> list[Path]:
    found = [*home.trust.glob("*-ca.pem"), *home.issued.glob("*.pem")]
    # three authorities; the front, two applications, four units, two seal keys, two release keys
    assert len(found) == 3 + 1 + 2 + 4 + 2 + 2
    return found


def extensions(path: Path) -> dict[str, tuple[bool, str]]:
    """OpenSSL's reading of a certificate's extensions: name to (critical, value)."""
    text = openssl("x509", "-in", path, "-noout", "-text", "-certopt", "no_sigdump,no_pubkey")
    found = {}
    for name, critical, value in re.findall(
        r"^ {12}(X509v3 [^:]+|[^:\n]+): ?(critical)?\n((?: {16}.*\n)+)", text, re.M
    ):
        found[name.strip()] = (bool(critical), " ".join(value.split()))
    return found


def test_authorities_issue_end_entities_only(new_box: RunningBox) -> None:
    for name in AUTHORITIES:
        found = extensions(new_box.home.trust / f"{name}.pem")
        assert found["X509v3 Basic Constraints"] == (True, "CA:TRUE, pathlen:0")
        assert found["X509v3 Key Usage"] == (True, "Certificate Sign, CRL Sign")
        assert "X509v3 Subject Key Identifier" in found


END_ENTITIES = {
    "certificates/alfa-tsu.pem": ("tsa-ca", "Digital Signature", (True, "Time Stamping")),
    "certificates/alfa-tsu-rsa.pem": ("tsa-ca", "Digital Signature", (True, "Time Stamping")),
    "certificates/bravo-seal.pem": ("seal-ca", "Digital Signature, Non Repudiation", None),
    "certificates/alfa-release-1.pem": ("seal-ca", "Key Agreement", None),
    "clients/alfa-app.crt": ("box-ca", "Digital Signature", (False, "TLS Web Client Authentication")),
    "front/server.crt": ("box-ca", "Digital Signature", (False, "TLS Web Server Authentication")),
}


@pytest.mark.parametrize("name", END_ENTITIES)
def test_end_entities_have_one_purpose_and_are_valid_and_not_revoked(new_box: RunningBox, name: str) -> None:
    home = new_box.home
    issuer, usage, purpose = END_ENTITIES[name]
    found = extensions(home.root / name)
    assert found["X509v3 Basic Constraints"] == (True, "CA:FALSE")
    assert found["X509v3 Key Usage"] == (True, usage)
    if purpose is not None:
        assert found["X509v3 Extended Key Usage"] == purpose
    elif usage == "Key Agreement":
        assert "X509v3 Extended Key Usage" not in found
    else:
        assert found["X509v3 Extended Key Usage"][1] not in {"Time Stamping", "TLS Web Client Authentication"}
    assert f"/crl/{issuer}.crl" in found["X509v3 CRL Distribution Points"][1]
    assert ("X509v3 Private Key Usage Period" in found) == (issuer == "tsa-ca")
    serial = openssl("x509", "-in", home.root / name, "-noout", "-serial").strip().removeprefix("serial=")
    assert 14 <= len(serial) // 2 <= 20, "random, and at most 20 octets (RFC 5280, 4.1.2.2)"
    verified = openssl(
        "verify", "-x509_strict", "-crl_check", "-CAfile", home.trust / f"{issuer}.pem",
        "-CRLfile", home.trust / f"{issuer}.crl", home.root / name,
    )  # fmt: skip
    assert verified.strip().endswith(": OK")


def test_serial_numbers_are_all_different(new_box: RunningBox) -> None:
    found = [openssl("x509", "-in", path, "-noout", "-serial") for path in certificates_of(new_box.home)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", AUTHORITIES)
def test_crls_are_published_from_the_first_day(new_box: RunningBox, name: str) -> None:
    trust = new_box.home.trust
    checked = subprocess.run(
        ("openssl", "crl", "-in", trust / f"{name}.crl", "-CAfile", trust / f"{name}.pem", "-noout", "-text"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "verify OK" in checked.stderr
    assert "No Revoked Certificates." in checked.stdout
    assert re.search(r"X509v3 CRL Number: \n\s+1\n", checked.stdout)
    assert "X509v3 Authority Key Identifier" in checked.stdout


def test_the_counts_of_provisioning_balance(new_box: RunningBox) -> None:
    with recorder_alone(new_box) as admin:
        runs = admin.query("runs")
        rows = admin.query("housekeeping_after", 0, 1000)
        callers = admin.query("register")
    assert [run["state"] for run in runs] == ["clean"]
    assert difference(runs[0]) == 0
    assert set(runs[0]["drops"]) == {"self-test"}
    # every certificate, a CRL an authority, and the trust bundle
    kinds = [row[1] for row in rows]
    assert kinds.count("certificate") == len(certificates_of(new_box.home)) + 1
    assert kinds.count("crl") == len(AUTHORITIES)
    assert runs[0]["rows"] == len(rows)
    # an application a tenant, and the public unit of each, which has a caller of its own
    assert sorted(row["application"] for row in callers) == [
        "alfa-app", "alfa-tsu-rsa-listener", "bravo-app", "bravo-tsu-rsa-listener",
    ]  # fmt: skip
