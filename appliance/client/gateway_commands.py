"""`cinnabar gateway`: a partner's side of the message gateway (docs/gateway.md). `seal` and `open` need no box."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from appliance.client.options import connection_options

if TYPE_CHECKING:
    from appliance.client.synchronous import Client
    from appliance.gateway import PartnerKeys, PartnerSheet
    from appliance.gateway.partner_side import PrivateKey

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW = click.Path(dir_okay=False, path_type=Path)
_SHEET = click.option("--sheet", type=_FILE, required=True, help="What `cinnabar gateway sheet` printed.")
_SIGN_KEY = click.option("--sign-key", type=_FILE, required=True, help="The partner's signing key, PEM.")
_SIGN_CERT = click.option("--sign-cert", type=_FILE, required=True, help="Its certificate, PEM.")
_ENCRYPT_KEY = click.option(
    "--encrypt-key", type=_FILE, required=True, help="The key that answers are encrypted to, PEM."
)


@click.group("gateway")
def gateway_group() -> None:
    """Send signed and encrypted messages as a partner of a tenant."""


@gateway_group.command("sheet")
@click.argument("partner")
@connection_options
def sheet_command(partner: str, client: Client) -> None:
    """Print names, keys and algorithms for messages of this partner, JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(client.gateway_sheet(partner)), indent=2))


@gateway_group.command("seal")
@click.argument("call", type=_FILE)
@_SHEET
@_SIGN_KEY
@_SIGN_CERT
@click.option("--output", type=_NEW, required=True, help="A file for the message.")
def seal_command(call: Path, sheet: Path, sign_key: Path, sign_cert: Path, output: Path) -> None:
    """Encrypt and sign a call, JSON, as a message to the tenant."""
    from appliance.gateway import read_call, write_message  # noqa: PLC0415 - listing commands needs none of it

    content = call.read_bytes()
    read_call(content)
    sent = write_message(_sheet(sheet), _keys(sign_key, sign_cert), content, int(time.time() * 1000))
    output.write_bytes(sent.message)
    click.echo(f"{output}: nonce {sent.nonce}")


@gateway_group.command("open")
@click.argument("answer", type=_FILE)
@click.option("--message", type=_FILE, required=True, help="The message that it answers.")
@_SHEET
@_ENCRYPT_KEY
def open_command(answer: Path, message: Path, sheet: Path, encrypt_key: Path) -> None:
    """Verify and decrypt an answer, and hold it to the message; prints its body. Exit status 1: a refusal."""
    from appliance.gateway import Sent, open_answer  # noqa: PLC0415
    from appliance.gateway.partner_side import nonce_of  # noqa: PLC0415

    told, sent = _sheet(sheet), message.read_bytes()
    _show(open_answer(told, _key(encrypt_key), Sent(sent, nonce_of(told, sent)), answer.read_bytes()))


@gateway_group.command("send")
@click.argument("partner")
@click.argument("call", type=_FILE)
@_SIGN_KEY
@_SIGN_CERT
@_ENCRYPT_KEY
@connection_options
def send_command(partner: str, call: Path, sign_key: Path, sign_cert: Path, encrypt_key: Path, client: Client) -> None:
    """Seal a call, send it, and open the answer; prints its body. Exit status 1: a refusal."""
    from appliance.gateway import open_answer, write_message  # noqa: PLC0415

    sheet, keys = client.gateway_sheet(partner), _keys(sign_key, sign_cert)
    sent = write_message(sheet, keys, call.read_bytes(), int(time.time() * 1000))
    _show(open_answer(sheet, _key(encrypt_key), sent, client.gateway_message(partner, sent.message, sheet.format)))


def _show(answer: Any) -> None:
    click.echo(msgspec.json.format(bytes(answer.body), indent=2))
    if answer.status >= 400:
        raise click.exceptions.Exit(1)


def _sheet(path: Path) -> PartnerSheet:
    from appliance.gateway import PartnerSheet  # noqa: PLC0415

    try:
        return msgspec.json.decode(path.read_bytes(), type=PartnerSheet)
    except msgspec.MsgspecError:
        raise click.ClickException(f"{path} is no sheet of a partner") from None


def _keys(sign_key: Path, sign_cert: Path) -> PartnerKeys:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    from appliance.gateway import PartnerKeys  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(sign_cert.read_bytes()).public_bytes(Encoding.DER)
    except ValueError:
        raise click.ClickException(f"{sign_cert} is no certificate, PEM") from None
    return PartnerKeys(_key(sign_key), certificate)


def _key(path: Path) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        raise click.ClickException(f"{path} is no private key, PEM, without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise click.ClickException(f"{path}: messages are signed and decrypted with RSA and EC keys")
    return key
