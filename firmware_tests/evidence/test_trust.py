"""The rules of the trust bundle, one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.evidence import LogEntry, NamedBytes, Pin, TrustRefused, read_bundle, verify
from appliance.evidence.directory import load_trust, read_directory
from appliance.keymaster.certificates.trust_bundles import make_bundle, write_bundle
from appliance.log.note import VerifierKey
from firmware_tests.evidence.material import DAY, T0, World, certify, crl, make_world, microseconds, spki


def signer(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    digest = hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA256()
    return lambda message: key.sign(message, ec.ECDSA(digest))


def resigned(world: World, change: Callable[[dict[str, Any]], object], **more: Any) -> dict[str, bytes]:
    """A bundle whose document was changed and signed again by the constitution."""
    files = world.bundle_files(**more)
    document = json.loads(files["bundle.json"])
    change(document)
    return with_bytes(world, files, rfc8785.dumps(document))


def with_bytes(world: World, files: dict[str, bytes], encoded: bytes) -> dict[str, bytes]:
    return {**files, "bundle.json": encoded, "bundle.json.sig": signer(world.constitution)(encoded)}


def next_version(world: World, before: dict[str, bytes], **more: Any) -> dict[str, bytes]:
    history = {name: content for name, content in before.items() if name.startswith("history/")}
    return history | world.bundle_files(previous=before, **more)


def test_a_bundle_reads_back(world: World) -> None:
    bundle = world.trust()
    assert bundle.document.version == 1
    assert bundle.first_use
    assert len(bundle.authorities) == 3
    assert not read_bundle(world.bundle_files(), Pin(keys=frozenset((spki(world.constitution),)))).first_use


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()], ids=["p384", "ed25519"]
)
def test_kinds_of_signing_keys(world: World, key: Any) -> None:
    sign = key.sign if isinstance(key, ed25519.Ed25519PrivateKey) else signer(key)
    assert read_bundle(world.bundle_files(signer=spki(key), sign=sign), None).document.version == 1


def test_openssl_verifies_the_signature(world: World, tmp_path: Path) -> None:
    import subprocess

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    write_bundle(tmp_path, world.bundle_files())
    public = world.constitution.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(public)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "bundle.json.sig", "bundle.json"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"Verified OK\n"


def test_signature_of_another_key(world: World) -> None:
    files = world.bundle_files()
    files["bundle.json.sig"] = signer(ec.generate_private_key(ec.SECP256R1()))(files["bundle.json"])
    with pytest.raises(TrustRefused, match="signature is not by the key"):
        read_bundle(files, None)


def test_key_that_is_not_the_given_one(world: World) -> None:
    other = Pin(keys=frozenset((spki(ec.generate_private_key(ec.SECP256R1())),)))
    with pytest.raises(TrustRefused, match="key that is not trusted"):
        read_bundle(world.bundle_files(), other)


def test_duplicate_members(world: World) -> None:
    files = world.bundle_files()
    twice = files["bundle.json"].replace(b'"rehearsal":true', b'"rehearsal":false,"rehearsal":true')
    with pytest.raises(TrustRefused, match="stands twice"):
        read_bundle(with_bytes(world, files, twice), None)


@pytest.mark.parametrize("member", ["constitution", "certificate", "role", "sha256", "accepted", "expires"])
def test_duplicate_members_at_every_depth(world: World, member: str) -> None:
    files = world.bundle_files()
    name = b'"%s":' % member.encode()
    assert name in files["bundle.json"]
    twice = files["bundle.json"].replace(name, name + b'"x",' + name, 1)
    with pytest.raises(TrustRefused, match="stands twice"):
        read_bundle(with_bytes(world, files, twice), None)


@pytest.mark.parametrize("spaced", [b" {", b"{ "])
def test_not_canonical(world: World, spaced: bytes) -> None:
    files = world.bundle_files()
    with pytest.raises(TrustRefused, match="canonical"):
        read_bundle(with_bytes(world, files, files["bundle.json"].replace(b"{", spaced, 1)), None)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(unknown=1),
        lambda document: document.pop("rehearsal"),
        lambda document: document.update(version=0),
        lambda document: document.update(version="1"),
        lambda document: document.update(format="cinnabar-trust/2"),
        lambda document: document.update(issued="2026-13-01T00:00:00Z"),
        lambda document: document.update(expires=document["issued"]),
        lambda document: document.update(previous="0" * 64),
        lambda document: document.update(constitution="0" * 64),
        lambda document: document.update(successors=["!"]),
        lambda document: document["authorities"][0].update(certificate="AAAA"),
        lambda document: document["authorities"][0].update(role="root"),
        lambda document: document["authorities"][0].update(time_class="tsa"),
        lambda document: document["authorities"][2].update(time_class="box"),
        lambda document: document["time"].update(accepted=["box"]),
        lambda document: document["time"].update(witnesses=0),
        lambda document: document["revocation_lists"][0].update(file="../secret"),
        lambda document: document["revocation_lists"][0].update(sha256="0" * 64),
        lambda document: document["logs"].append({"key": "a+b+c", "origin": "rehearsal log"}),
    ],
)
def test_wrong_documents(world: World, change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(TrustRefused):
        read_bundle(resigned(world, change), None)


def test_leaf_certificate_as_authority(world: World) -> None:
    import base64

    leaf = base64.b64encode(world.tsa.der).decode()
    with pytest.raises(TrustRefused, match="no certificate authority"):
        read_bundle(resigned(world, lambda document: document["authorities"][0].update(certificate=leaf)), None)


def test_file_missing_changed_or_malformed(world: World) -> None:
    files = world.bundle_files()
    with pytest.raises(TrustRefused, match="lacks"):
        read_bundle({name: content for name, content in files.items() if name != "tsa-ca.crl"}, None)
    with pytest.raises(TrustRefused, match="not the revocation list"):
        read_bundle({**files, "tsa-ca.crl": crl(world.tsa_ca)}, None)
    with pytest.raises(TrustRefused, match="malformed"):
        world.with_crl("tsa-ca.crl", b"0\x03abc").bundle_files()
    with pytest.raises(TrustRefused, match="lacks"):
        read_bundle({}, None)
    with pytest.raises(TrustRefused, match="larger"):
        read_bundle({**files, "bundle.json": b" " * (1 << 21)}, None)


# --- versions ------------------------------------------------------------------------------------------------------


def test_versions_follow_each_other(world: World) -> None:
    first = world.bundle_files()
    second = next_version(world, first)
    third = next_version(world, second)
    pin = read_bundle(first, None).pin()
    assert read_bundle(first, pin).document.version == 1, "the same again is fine"
    assert read_bundle(second, pin).document.version == 2
    assert read_bundle(third, pin).document.version == 3
    assert sorted(name for name in third if name.startswith("history/")) == [
        "history/1.json", "history/1.json.sig", "history/2.json", "history/2.json.sig",
    ]  # fmt: skip


def test_older_versions_are_refused(world: World) -> None:
    first = world.bundle_files()
    pin = read_bundle(next_version(world, first), None).pin()
    with pytest.raises(TrustRefused, match="version 2 has already been seen"):
        read_bundle(first, pin)


def test_two_bundles_of_one_version(world: World) -> None:
    pin = world.trust().pin()
    with pytest.raises(TrustRefused, match="two different bundles"):
        read_bundle(world.bundle_files(expires=T0 + 10 * DAY), pin)


def test_a_version_that_does_not_follow(world: World) -> None:
    first, other = world.bundle_files(), world.bundle_files(expires=T0 + 10 * DAY)
    with pytest.raises(TrustRefused, match="does not follow"):
        read_bundle(next_version(world, other), read_bundle(first, None).pin())


def test_the_key_changes_by_succession(world: World) -> None:
    old, new = world.constitution, ec.generate_private_key(ec.SECP256R1())
    first = world.bundle_files()
    naming = next_version(world, first, successors=[spki(new)])
    by_new = next_version(world, naming, signer=spki(new), sign=signer(new))
    pin = read_bundle(first, None).pin()
    assert read_bundle(by_new, pin).document.version == 3, "the history leads from the old key to the new one"
    bare = {name: content for name, content in by_new.items() if not name.startswith("history/")}
    with pytest.raises(TrustRefused, match="not trusted"):
        read_bundle(bare, pin)
    assert old is not new


def test_a_key_that_nobody_named(world: World) -> None:
    thief = ec.generate_private_key(ec.SECP256R1())
    first = world.bundle_files()
    with pytest.raises(TrustRefused, match="not trusted"):
        next_version(world, first, signer=spki(thief), sign=signer(thief))


def test_forged_history(world: World) -> None:
    first = world.bundle_files()
    third = next_version(world, next_version(world, first))
    third["history/2.json"], third["history/2.json.sig"] = third["history/1.json"], third["history/1.json.sig"]
    with pytest.raises(TrustRefused, match="history"):
        read_bundle(third, read_bundle(first, None).pin())


def test_another_constitution(world: World) -> None:
    with pytest.raises(TrustRefused, match="another constitution"):
        read_bundle(make_world().bundle_files(), world.trust().pin())


# --- rehearsal -----------------------------------------------------------------------------------------------------


def test_rehearsal_never_becomes_production(world: World) -> None:
    first = world.bundle_files(authorities=[], logs=[])
    with pytest.raises(TrustRefused, match="never stand in one line"):
        next_version(world, first, rehearsal=False, authorities=[], logs=[])


def test_names_say_whether_it_is_a_rehearsal(world: World) -> None:
    key = str(VerifierKey("real-log", bytes(32)))
    with pytest.raises(TrustRefused, match="cannot stand in a rehearsal bundle"):
        world.bundle_files(logs=[LogEntry(origin="real-log", key=key)])
    with pytest.raises(TrustRefused, match="cannot stand in a production bundle"):
        world.bundle_files(rehearsal=False)


def test_rehearsal_is_said_in_the_report(world: World) -> None:
    assert "REHEARSAL" in world.verify(("a", b"a")).notes[0]


# --- on disk -------------------------------------------------------------------------------------------------------


def test_the_state_keeps_the_highest_version(world: World, tmp_path: Path) -> None:
    trust, state = tmp_path / "trust", tmp_path / "state"
    first = world.bundle_files()
    write_bundle(trust, first)
    assert load_trust(trust, state, None).first_use
    assert not load_trust(trust, state, None).first_use
    write_bundle(trust, next_version(world, first))
    assert load_trust(trust, state, None).document.version == 2
    assert "history/1.json" in read_directory(trust)
    write_bundle(trust, first)
    with pytest.raises(TrustRefused, match="already been seen"):
        load_trust(trust, state, None)


def test_broken_state_is_not_ignored(world: World, tmp_path: Path) -> None:
    trust, state = tmp_path / "trust", tmp_path / "state"
    write_bundle(trust, world.bundle_files())
    load_trust(trust, state, None)
    next(state.iterdir()).write_bytes(b"{}")
    with pytest.raises(TrustRefused, match="must not be ignored"):
        load_trust(trust, state, None)


def test_the_given_key_binds_whatever_the_state_says(world: World, tmp_path: Path) -> None:
    trust, state = tmp_path / "trust", tmp_path / "state"
    write_bundle(trust, world.bundle_files())
    load_trust(trust, state, None)
    with pytest.raises(TrustRefused, match="not trusted"):
        load_trust(trust, state, spki(ec.generate_private_key(ec.SECP256R1())))
    assert not load_trust(trust, state, spki(world.constitution)).first_use


# --- anything ------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_bundles_are_refused_and_never_surprise(data: st.DataObject) -> None:
    files = _shared_files()
    name = data.draw(st.sampled_from(["bundle.json", "bundle.json.sig", "tsa-ca.crl"]))
    content = bytearray(files[name])
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TrustRefused):
        read_bundle({**files, name: bytes(content)}, None)


@settings(max_examples=100)
@given(encoded=st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers(-2**60, 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=10).map(msgspec.json.encode)))  # fmt: skip
def test_anything_else_is_refused(encoded: bytes) -> None:
    with pytest.raises(TrustRefused):
        read_bundle({"bundle.json": encoded, "bundle.json.sig": b""}, None)


def test_deep_nesting_is_refused(world: World) -> None:
    with pytest.raises(TrustRefused):
        read_bundle(with_bytes(world, {}, b"[" * 100_000), None)


_FILES: dict[str, bytes] = {}


def _shared_files() -> dict[str, bytes]:
    if not _FILES:
        _FILES.update(make_world().bundle_files())
    return _FILES


def test_make_bundle_refuses_what_readers_would(world: World) -> None:
    with pytest.raises(TrustRefused):
        make_bundle(
            signer=spki(world.constitution), sign=lambda _: b"no signature", previous=None, rehearsal=True, issued=T0,
            expires=T0 + DAY, authorities=[], revocation_lists={}, logs=[],
        )  # fmt: skip


def test_an_anchor_inside_the_file_is_no_anchor(world: World) -> None:
    """Without authorities in the bundle nothing that a file brings along makes it pass."""
    from firmware_tests.evidence.material import time_stamper, token

    authority = certify("CA", ca=True)
    unit = time_stamper("Unit", authority)
    stamp = token(unit, b"x", certificates=[unit.der, authority.der], crls=[crl(authority)])
    files = [NamedBytes("x", b"x"), NamedBytes("x.tst", stamp), NamedBytes("ca.cer", authority.der)]
    trust = world.trust(authorities=[], revocation_lists={})
    report = verify(files, trust, now_us=microseconds(T0 + timedelta(days=1)))
    assert report.exit_code == 2
