"""`cinnabar veil`, as senders and platforms use it: secrets in files of their owner alone, nothing written over."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from appliance.client.veil_commands import veil_group
from appliance.letters.bid_code import code_secret
from appliance.letters.veil import Context, open_envelope, read_envelope

RELEASE = ec.generate_private_key(ec.SECP256R1())
PLATFORM = ec.generate_private_key(ec.SECP256R1())
KIND = "ab" * 32


def run(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(veil_group, [str(one) for one in arguments], input=typed)


def agree(point: bytes) -> bytes:
    return RELEASE.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))


@pytest.fixture
def room(tmp_path: Path) -> Path:
    for name, key in (("release", RELEASE), ("platform", PLATFORM)):
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
    (tmp_path / "platform.pem").write_bytes(
        PLATFORM.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a phrase"))
    )
    (tmp_path / "price.json").write_text('{ "currency": "CNY", "amount": "1250000.00" }')
    return tmp_path


def place(room: Path) -> list[str | Path]:
    return [
        *("--release-key", room / "release.pub", "--tenant", "demo", "--kind-digest", KIND),
        *("--field", "price", "--reference", "招标-17"),
    ]


def encrypted(room: Path, *options: str | Path) -> Result:
    return run("encrypt", room / "price.json", *place(room), "--output", room / "envelope.json", *options)


def test_a_sender_veils_and_the_box_opens(room: Path) -> None:
    done = encrypted(
        room, "--code-file", room / "code", "--keep", room / "kept", "--not-before", "2026-12-01T10:00+08:00"
    )
    assert done.exit_code == 0, done.output
    for secret in ("code", "kept"):
        assert stat.S_IMODE((room / secret).stat().st_mode) == 0o600
    code = (room / "code").read_text().strip()
    assert code not in done.output
    envelope = read_envelope((room / "envelope.json").read_bytes())
    assert envelope.header.context.not_before == 1_796_090_400_000_000
    assert envelope.header.commitment in done.output
    expected = Context(tenant="demo", kind=KIND, field="price", reference="招标-17")
    found = open_envelope(envelope, expected, 1_796_090_400_000_000, RELEASE.public_key(), agree, code)
    assert found.plaintext == b'{"amount":"1250000.00","currency":"CNY"}'
    proved = run("prove", "--envelope", room / "envelope.json", "--salt", found.salt.hex(), room / "price.json")
    assert (proved.exit_code, proved.output) == (0, "this is what was committed to\n")
    (room / "price.json").write_text('{"currency":"CNY","amount":"1250000.01"}')
    assert (
        run("prove", "--envelope", room / "envelope.json", "--salt", found.salt.hex(), room / "price.json").exit_code
        == 1
    )
    shown = json.loads(run("show", "--envelope", room / "envelope.json").output)
    assert (shown["digest"], shown["context"]["reference"]) == (envelope.digest, "招标-17")


def test_a_sender_opens_what_it_veiled(room: Path) -> None:
    assert encrypted(room, "--code-file", room / "code", "--keep", room / "kept").exit_code == 0
    code = (room / "code").read_text()
    opened = run("open", "--envelope", room / "envelope.json", "--kept", room / "kept", typed=code)
    assert opened.exit_code == 0, opened.output
    assert '{"amount":"1250000.00","currency":"CNY"}' in opened.output
    assert code.strip() not in opened.output
    run("code", "--output", room / "other")
    wrong = run("open", "--envelope", room / "envelope.json", "--kept", room / "kept", "--code-file", room / "other")
    assert wrong.exit_code == 1
    assert "wrong-code [control VEIL]" in wrong.output
    (room / "kept").write_text('{"agreed": 1}')
    assert run("open", "--envelope", room / "envelope.json", "--kept", room / "kept", typed=code).exit_code == 1


def test_a_platforms_share(room: Path) -> None:
    done = encrypted(room, "--platform-key", room / "platform.pub", "--keep", room / "kept")
    assert done.exit_code == 0, done.output
    where = ("--envelope", room / "envelope.json", "--platform-key", room / "platform.pem")
    assert run("share", *where, typed="another phrase\n").exit_code == 1
    made = run("share", *where, "--output", room / "share", typed="a phrase\n")
    assert made.exit_code == 0, made.output
    opened = run("open", "--envelope", room / "envelope.json", "--kept", room / "kept", "--code-file", room / "share")
    assert "1250000.00" in opened.output
    other = ec.generate_private_key(ec.SECP256R1())
    (room / "platform.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    refused = run("share", *where)
    assert "envelope-elsewhere" in refused.output


def test_a_document_goes_in_as_it_is(room: Path) -> None:
    (room / "bid.pdf").write_bytes(b"%PDF-1.7\n\xff")
    done = run(
        *("encrypt", room / "bid.pdf", "--raw", *place(room), "--output", room / "e", "--code-file", room / "code"),
        *("--keep", room / "kept"),
    )
    assert done.exit_code == 0, done.output
    where = ("--envelope", room / "e", "--kept", room / "kept", "--code-file", room / "code")
    assert run("open", *where, "--output", room / "out").exit_code == 0
    assert (room / "out").read_bytes() == b"%PDF-1.7\n\xff"
    assert stat.S_IMODE((room / "out").stat().st_mode) == 0o600


def test_codes_are_fresh_and_nothing_is_written_over(room: Path) -> None:
    codes = {run("code").output for _ in range(3)}
    assert len({code_secret(code) for code in codes}) == 3
    assert encrypted(room, "--code-file", room / "code", "--keep", room / "kept").exit_code == 0
    before = {path: path.read_bytes() for path in room.iterdir()}
    again = encrypted(room, "--code-file", room / "code")
    assert again.exit_code == 1
    assert "nothing is written over" in again.output
    assert run("code", "--output", room / "code").exit_code == 1
    assert {path: path.read_bytes() for path in room.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--code-file", "weak"], "weak-code"),
        (["--code-file", "code", "--platform-key", "platform.pub"], "--code-file or --platform-key"),
        ([], "--code-file or --platform-key"),
        (["--code-file", "code", "--not-before", "tomorrow"], "an instant"),
        (["--code-file", "code", "--not-before", "2026-12-01T10:00"], "an instant"),
        (["--code-file", "code", "--tenant", "../x"], "envelope-refused"),
        (["--code-file", "code", "--kind-digest", "ab"], "envelope-refused"),
        (["--code-file", "code", "--release-key", "price.json"], "no public key"),
        (["--platform-key", "release.pub"], "release key"),
    ],
)
def test_what_cannot_be_veiled_is_told(room: Path, change: list[str], said: str) -> None:
    (room / "weak").write_text("12345678")
    made = [str(room / one) if (room / one).exists() or one == "code" else one for one in change]
    done = encrypted(room, *made)
    assert done.exit_code != 0
    assert said in done.output
    assert not (room / "envelope.json").exists()


def test_json_without_one_form_is_refused(room: Path) -> None:
    for text in ("", "{", '{"a": 1e400}', '{"a": 12345678901234567890}', "[" * 100_000, '"\\ud800"'):
        (room / "price.json").write_text(text)
        done = encrypted(room, "--code-file", room / "code")
        assert done.exit_code == 1, text[:40]
        assert "canonical form" in done.output
    for name in ("show", "open"):
        kept = ("--kept", room / "price.json") if name == "open" else ()
        assert "envelope-refused" in run(name, "--envelope", room / "price.json", *kept).output
