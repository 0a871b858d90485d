"""`cinnabar approve-letter`: what an application wants approved, read from the bytes that are signed, and signed with a
card. Needs no box and no network."""

from __future__ import annotations

import base64
import datetime
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from appliance.letters.event import ApprovalStep, Event
    from appliance.letters.kind import LoadedKind

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUTPUT = click.Path(dir_okay=False, path_type=Path)


class _Needed(msgspec.Struct):
    """As appliance.api.letters.schemas.StepNeeded."""

    step: int
    heading: str


class _Draft(msgspec.Struct):
    """Members of the API's answer that count (appliance.api.letters.schemas.Draft)."""

    text: bytes
    needed: list[_Needed]
    disclosures: dict[str, str] = {}


@click.command("approve-letter")
@click.argument("draft", type=_FILE)
@click.option("--kind", "kind_file", type=_FILE, help="The kind's file, for its labels; one that ships is found.")
@click.option("--language", type=click.Choice(["en", "zh"]), multiple=True, help="Default: both.")
@click.option("--text", "text_file", type=_OUTPUT, help="Write the bytes to be signed there, for other software.")
@click.option("--approver", help="Your id in the constitution.")
@click.option("--step", type=click.IntRange(1, 8), help="Which step you approve, from 1. Default: the text's, else 1.")
@click.option("--certificate", type=_FILE, help="Your card's certificate, PEM or DER, as the constitution holds it.")
@click.option("--card", help="pkcs11: URI of your card and the key on it, with module-path.")
@click.option("--pin-file", type=_FILE, help="File with the card's PIN, mode 0600; it is asked for if left out.")
@click.option("--signature", type=_FILE, help="Detached CMS over the text that other software made, instead of --card.")
@click.option("--output", type=_OUTPUT, help="Where the approval goes: JSON, for the application.")
def approve_letter(
    draft: Path,
    kind_file: Path | None,
    language: tuple[str, ...],
    text_file: Path | None,
    approver: str | None,
    step: int | None,
    certificate: Path | None,
    card: str | None,
    pin_file: Path | None,
    signature: Path | None,
    output: Path | None,
) -> None:
    """Say in plain words what DRAFT would do, and sign a step of it with your card.

    DRAFT: what the box answered to a request for a draft (JSON), or the text that --text wrote. Everything that is
    shown is read from the bytes that are signed. Without --card or --signature it is only shown. docs/letters.md,
    Approvals.
    """
    from appliance.errors import CinnabarError  # noqa: PLC0415 - as everything here, only when the command runs
    from appliance.letters.draft_words import read_approval_text, tell  # noqa: PLC0415

    text, disclosures = _read(draft, step)
    try:
        decides, event = read_approval_text(text)
        if step not in (None, decides.step + 1):
            raise click.UsageError(f"{draft} is the text of step {decides.step + 1}.")
        loaded = _kind(event, kind_file)
        for one in ("en", "zh"):
            if not language or one in language:
                click.echo("\n".join(tell(text, "zh" if one == "zh" else "en", loaded, disclosures)) + "\n")
    except (CinnabarError, ValueError) as error:
        raise click.ClickException(f"{draft}: {error}") from None
    _fingerprint(text)
    if text_file is not None:
        text_file.write_bytes(text)
    if card is None and signature is None:
        return
    if approver is None or certificate is None or output is None or (card is None) == (signature is None):
        raise click.UsageError("Give --approver, --certificate, --output, and one of --card and --signature.")
    held = _certificate(certificate)
    signed = signature.read_bytes() if signature is not None else _sign(text, held, card or "", pin_file)
    output.write_bytes(_approval(text, held, approver, decides, signed))
    click.echo(f"{output}: the approval of {approver} for step {decides.step + 1} ({decides.policy})")


def _read(path: Path, step: int | None) -> tuple[bytes, dict[str, str]]:
    """(text of the step's approval, disclosures)."""
    from appliance.letters.event import APPROVAL_PREFIX  # noqa: PLC0415

    content = path.read_bytes()
    if content.startswith(APPROVAL_PREFIX):
        return content, {}
    try:
        found = msgspec.json.decode(content, type=_Draft)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise click.ClickException(f"{path} is neither a draft nor the text of one.") from None
    heading = next((one.heading for one in found.needed if one.step + 1 == (step or 1)), None)
    if heading is None:
        raise click.ClickException(f"{path} needs no approval of step {step or 1}.")
    return heading.encode() + found.text, found.disclosures


def _kind(event: Event, path: Path | None) -> LoadedKind | None:
    """The kind of the draft: the given file, else the one that ships, if it is that very one."""
    from appliance.letters.kind import read_kind  # noqa: PLC0415
    from appliance.letters.shipped import shipped  # noqa: PLC0415

    if path is not None:
        return read_kind(path.read_bytes())
    found = shipped().get(event.kind.id)
    if found is None or hashlib.sha256(found).hexdigest() != event.kind.digest:
        return None
    return read_kind(found)


def _fingerprint(text: bytes) -> None:
    from appliance.ceremonies.proposal import digest_words  # noqa: PLC0415

    digest = hashlib.sha256(text).hexdigest()
    click.echo(f"SHA-256 {digest}")
    click.echo(digest_words(digest))
    click.echo(digest_words(digest, "chinese_simplified"))


def _certificate(path: Path) -> bytes:
    """DER."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    content = path.read_bytes()
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificate(content).public_bytes(Encoding.DER)
        x509.load_der_x509_certificate(content)
    except ValueError:
        raise click.ClickException(f"{path} is no certificate.") from None
    return content


def _sign(text: bytes, certificate: bytes, uri: str, pin_file: Path | None) -> bytes:
    """A detached CMS by the card's key."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7  # noqa: PLC0415

    import hsm  # noqa: PLC0415
    from hsm.x509 import private_key  # noqa: PLC0415

    held = x509.load_der_x509_certificate(certificate)
    scheme, digest = _scheme(held)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]

    def ask() -> str:
        return str(click.prompt("PIN of the card", hide_input=True))

    try:
        wanted = hsm.Pkcs11Uri.parse(uri)
        token = hsm.open_token(wanted, ask if pin_file is None else hsm.PinFile(pin_file), hsm.LaneSettings())
        try:
            key = private_key(token.signing_key(wanted, scheme))
            builder = pkcs7.PKCS7SignatureBuilder().set_data(text).add_signer(held, key, digest)  # type: ignore[arg-type]
            return builder.sign(Encoding.DER, options)
        finally:
            token.close()
    except hsm.HsmError as error:
        raise click.ClickException(f"The card does not sign: {error}") from None


def _scheme(certificate: x509.Certificate) -> tuple[str, hashes.SHA256 | hashes.SHA384]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "rsa-pkcs1-sha256", hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        return "ecdsa-p384-sha384", hashes.SHA384()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ecdsa-p256-sha256", hashes.SHA256()
    raise click.ClickException("The card's key is neither RSA nor of P-256 or P-384.")


def _approval(text: bytes, certificate: bytes, approver: str, step: ApprovalStep, signed: bytes) -> bytes:
    """The approval, once it is found to hold as the box will find it."""
    from appliance.ceremonies.cards import check_card_signature  # noqa: PLC0415
    from appliance.ceremonies.errors import StatementRefused  # noqa: PLC0415
    from appliance.letters.approvals import OTHER_DRAFT  # noqa: PLC0415
    from appliance.letters.event import Approval  # noqa: PLC0415

    try:
        check_card_signature(certificate, signed, text, datetime.datetime.now(datetime.UTC), other=OTHER_DRAFT)
    except StatementRefused as error:
        raise click.ClickException(f"The box would refuse it: {error}") from None
    made = Approval(
        approver=approver, form="cms", limits=step.limits, policy=step.policy,
        signature=base64.b64encode(signed).decode(), step=step.step,
    )  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(made), indent=2)
