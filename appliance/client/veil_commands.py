"""`cinnabar veil`: what a sender and a tender platform do with veiled values (docs/veil.md), without the box.

Codes and shares are read from files or from what is typed, and never stand in an argument.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.client.options import connection_options
from appliance.instants import microseconds

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from appliance.client.synchronous import Client
    from appliance.evidence.release_keys import CheckedReleaseKey
    from appliance.letters.veil import Envelope

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW = click.Path(dir_okay=False, path_type=Path)
_TRUST = click.option(
    "--trust",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The trust directory that says whose the release key is (docs/trust.md).",
)
_STATE = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory where the highest trust bundle seen is kept. Default: cinnabar/trust in XDG_STATE_HOME.",
)
_ENVELOPE = click.option("--envelope", "envelope_file", type=_FILE, required=True, help="The envelope.")


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    from appliance.errors import CinnabarError  # noqa: PLC0415 - listing commands needs none of it

    try:
        yield
    except CinnabarError as error:
        control = f" [control {error.control}]" if error.control else ""
        raise click.ClickException(f"{error.code}{control}: {error}") from None
    except FileExistsError as error:
        raise click.ClickException(f"{error.filename} is there already: nothing is written over") from None
    except OSError as error:
        raise click.ClickException(str(error)) from None


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    """A new file; a secret one is its owner's alone from the first byte."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _typed(text: str, path: Path | None) -> str:
    """What is in a file, or is typed without an echo."""
    if path is not None:
        return path.read_text(errors="replace").strip()
    return str(click.prompt(text, hide_input=True))


def _release_key(path: Path, trust: Path | None, state: Path | None) -> ec.EllipticCurvePublicKey:
    """Certificates are checked first. Raises ReleaseKeyRefused, TrustRefused."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key  # noqa: PLC0415

    raw = path.read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in raw:
        return _public_key(path)
    try:
        chain = [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(raw)]
    except ValueError:
        raise click.ClickException(f"{path} holds no certificates that can be read") from None
    key = load_der_public_key(_checked(chain, trust, state).public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise click.ClickException(f"{path}: values are veiled to keys of P-256")
    return key


def _checked(chain: list[bytes], trust: Path | None, state: Path | None) -> CheckedReleaseKey:
    """Raises ReleaseKeyRefused, TrustRefused."""
    from appliance.evidence.directory import default_state, load_trust  # noqa: PLC0415
    from appliance.evidence.release_keys import check_release_key  # noqa: PLC0415

    if trust is None:
        raise click.UsageError("say by --trust what the release key's certificate is checked with")
    return check_release_key(
        chain, load_trust(trust, default_state() if state is None else state, None), time.time_ns() // 1000
    )


def _spoken(time_us: int) -> str:
    return datetime.datetime.fromtimestamp(time_us / 1_000_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _public_key(path: Path) -> ec.EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key  # noqa: PLC0415

    raw = path.read_bytes()
    try:
        key = load_pem_public_key(raw) if raw.lstrip().startswith(b"-----") else load_der_public_key(raw)
    except ValueError:
        raise click.ClickException(f"{path} is no public key, PEM or DER") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise click.ClickException(f"{path}: values are veiled to keys of P-256")
    return key


def _read_envelope(path: Path) -> Envelope:
    from appliance.letters.veil import read_envelope  # noqa: PLC0415

    return read_envelope(path.read_bytes())


@click.group("veil")
def veil_group() -> None:
    """Veil values: encrypted so that the box alone cannot open them, opened by a code after the time."""


@veil_group.command("code")
@click.option("--output", type=_NEW, help="A new file, its owner's alone; the screen if left out.")
def code_command(output: Path | None) -> None:
    """Make a bid code: 135 random bits. Who has it opens what was veiled with it; who loses it opens nothing."""
    from appliance.letters.bid_code import new_code  # noqa: PLC0415

    with _explained():
        if output is None:
            click.echo(new_code())
        else:
            _write(output, f"{new_code()}\n".encode(), secret=True)


@veil_group.command("key")
@click.option("--output", type=_NEW, required=True, help="A new file for the release key's certificates, PEM.")
@_TRUST
@_STATE
@connection_options
def key_command(output: Path, trust: Path | None, state: Path | None, client: Client) -> None:
    """Fetch the release key of the tenant that this application belongs to, and check whose it is."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key  # noqa: PLC0415

    from appliance.letters.veil import key_id  # noqa: PLC0415

    found = client.release_key()
    with _explained():
        checked = _checked(found.chain, trust, state)
        key = load_der_public_key(checked.public_key)
        if not isinstance(key, ec.EllipticCurvePublicKey) or key_id(key) != found.id:
            raise click.ClickException("the box's answer names another key than its certificate")
        chain = [x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in found.chain]
        _write(output, b"".join(chain), secret=False)
    click.echo(f"release key {found.id} of {checked.name}, until {_spoken(checked.not_after_us)}")


@veil_group.command("encrypt")
@click.argument("value", type=_FILE)
@click.option(
    "--release-key",
    "release_key",
    type=_FILE,
    required=True,
    help="The tenant's release key: its certificates, which --trust checks, or a bare key that you trust by yourself.",
)
@_TRUST
@_STATE
@click.option("--tenant", required=True, help="Whose letter it is.")
@click.option("--kind", "kind_file", type=_FILE, help="The kind's file, whose digest the envelope names.")
@click.option("--kind-digest", help="Or its digest: SHA-256, hexadecimal.")
@click.option("--field", required=True, help="The field's name in the kind.")
@click.option("--reference", default="", help="What the letter calls itself: its kind says which field that is.")
@click.option("--not-before", help="An instant, 2026-12-01T02:00:00Z, before which no box opens it.")
@click.option("--code-file", type=_NEW, help="The bid code; made, for its owner alone, if the file is not there.")
@click.option("--platform-key", type=_FILE, help="Or the tender platform's public key: its share opens then.")
@click.option("--raw", is_flag=True, help="Encrypt the file's bytes as they are, not as JSON.")
@click.option("--output", type=_NEW, required=True, help="A new file for the envelope.")
@click.option("--keep", type=_NEW, help="A new file, its owner's alone: with the code it opens the envelope here.")
def encrypt_command(
    value: Path,
    release_key: Path,
    trust: Path | None,
    state: Path | None,
    tenant: str,
    kind_file: Path | None,
    kind_digest: str | None,
    field: str,
    reference: str,
    not_before: str | None,
    code_file: Path | None,
    platform_key: Path | None,
    raw: bool,
    output: Path,
    keep: Path | None,
) -> None:
    """Encrypt a field's VALUE, a file with JSON, to a tenant's release key and a bid code or a platform's share."""
    import hashlib  # noqa: PLC0415

    from msgspec import UNSET  # noqa: PLC0415

    from appliance.letters.bid_code import new_code  # noqa: PLC0415
    from appliance.letters.veil import Context, veil  # noqa: PLC0415

    if (kind_file is None) is (kind_digest is None):
        raise click.UsageError("say the kind by --kind or by --kind-digest")
    if (code_file is None) is (platform_key is None):
        raise click.UsageError("say what opens it: --code-file or --platform-key")
    with _explained():
        digest = kind_digest or hashlib.sha256(kind_file.read_bytes() if kind_file is not None else b"").hexdigest()
        content = value.read_bytes() if raw else _canonical(value)
        context = Context(
            tenant=tenant,
            kind=digest.lower(),
            field=field,
            reference=reference,
            not_before=UNSET if not_before is None else _instant(not_before),
        )
        code = None
        if code_file is not None:
            if not code_file.exists():
                _write(code_file, f"{new_code()}\n".encode(), secret=True)
            code = code_file.read_text(errors="replace").strip()
        platform = None if platform_key is None else _public_key(platform_key)
        made = veil(content, context, _release_key(release_key, trust, state), code=code, platform_key=platform)
        if keep is not None:
            kept = {"agreed": made.agreed.hex(), "envelope": made.envelope.digest, "salt": made.salt.hex()}
            _write(keep, json.dumps(kept).encode() + b"\n", secret=True)
        _write(output, made.envelope.encoded(), secret=False)
    click.echo(f"commitment {made.envelope.header.commitment}")


@veil_group.command("open")
@_ENVELOPE
@click.option("--kept", type=_FILE, required=True, help="What `encrypt --keep` kept.")
@click.option("--code-file", type=_FILE, help="The code, or the platform's share; asked for if left out.")
@click.option("--output", type=_NEW, help="A new file, its owner's alone; the screen if left out.")
def open_command(envelope_file: Path, kept: Path, code_file: Path | None, output: Path | None) -> None:
    """Open one's own envelope without the box, and hold it to its commitment."""
    from appliance.letters.veil import reopen  # noqa: PLC0415

    with _explained():
        envelope = _read_envelope(envelope_file)
        found = reopen(envelope, _agreed(kept, envelope), _typed("Code", code_file))
        if output is None:
            click.echo(found.plaintext.decode("utf-8", "replace"))
        else:
            _write(output, found.plaintext, secret=True)


@veil_group.command("share")
@_ENVELOPE
@click.option("--platform-key", type=_FILE, required=True, help="The platform's private key, PEM.")
@click.option("--output", type=_NEW, help="A new file, its owner's alone; the screen if left out.")
def share_command(envelope_file: Path, platform_key: Path, output: Path | None) -> None:
    """The platform's share of one envelope, to be handed out at the opening."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    from appliance.letters.veil import platform_share  # noqa: PLC0415

    with _explained():
        pem = platform_key.read_bytes()
        password = str(click.prompt("Passphrase", hide_input=True)).encode() if b"ENCRYPTED" in pem else None
        try:
            key = load_pem_private_key(pem, password)
        except (ValueError, TypeError):
            raise click.ClickException(f"{platform_key} is no private key in PEM, or the passphrase is wrong") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise click.ClickException(f"{platform_key}: shares are made with keys of P-256")
        share = platform_share(_read_envelope(envelope_file), key)
        if output is None:
            click.echo(share)
        else:
            _write(output, f"{share}\n".encode(), secret=True)


@veil_group.command("show")
@_ENVELOPE
def show_command(envelope_file: Path) -> None:
    """What an envelope says of itself to everybody."""
    import msgspec  # noqa: PLC0415

    with _explained():
        envelope = _read_envelope(envelope_file)
    told: dict[str, Any] = msgspec.to_builtins(envelope.header)
    told["ciphertext"] = f"{len(envelope.ciphertext)} bytes"
    told["digest"] = envelope.digest
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


@veil_group.command("prove")
@_ENVELOPE
@click.option("--salt", required=True, help="The salt that the opening told, hexadecimal.")
@click.argument("value", type=_FILE)
@click.option("--raw", is_flag=True, help="The file's bytes as they are, not as JSON.")
def prove_command(envelope_file: Path, salt: str, value: Path, raw: bool) -> None:
    """Hold an opened VALUE, a file with JSON, to the commitment in its envelope."""
    from appliance.letters.veil import check_opening  # noqa: PLC0415

    with _explained():
        commitment = _read_envelope(envelope_file).header.commitment
        content = value.read_bytes() if raw else _canonical(value)
    try:
        known = bytes.fromhex(salt)
    except ValueError:
        raise click.BadParameter("the salt is hexadecimal", param_hint="--salt") from None
    if not check_opening(commitment, known, content):
        raise click.ClickException("this is not what was committed to")
    click.echo("this is what was committed to")


def _agreed(kept: Path, envelope: Envelope) -> bytes:
    try:
        told = json.loads(kept.read_bytes())
        agreed, digest = bytes.fromhex(told["agreed"]), told["envelope"]
    except (ValueError, KeyError, TypeError):
        raise click.ClickException(f"{kept} is not what `encrypt --keep` keeps") from None
    if digest != envelope.digest:
        raise click.ClickException(f"{kept} was kept for another envelope")
    return agreed


def _canonical(path: Path) -> bytes:
    import rfc8785  # noqa: PLC0415

    try:
        return rfc8785.dumps(json.loads(path.read_bytes()))
    except (ValueError, RecursionError):
        raise click.ClickException(f"{path} is not JSON that has a canonical form (RFC 8785)") from None


def _instant(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter("an instant with its zone, 2026-12-01T02:00:00Z", param_hint="--not-before")
    return microseconds(moment)
