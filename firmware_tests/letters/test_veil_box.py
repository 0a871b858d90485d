"""Control VEIL against a real box: its whole disk and every PIN of it, without the code, open nothing."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.box.settings import read_settings
from appliance.client import Client
from appliance.letters import veil as veil_module
from appliance.letters.bid_code import SYMBOLS, code_secret, new_code
from appliance.letters.envelope import Context
from appliance.letters.veil import reopen, veil
from firmware_tests.letters.test_veiled_letters import DIGEST, fields
from firmware_tests.running import RunningBox, cinnabar

SECRET_PRICE = b'{"amount":"7777777.77","currency":"CNY"}'
# With the PIN of a token, whatever it does for a worker: agree with its release key, make MACs.
_HOLDER_OF_PINS = """
import sys
from pathlib import Path
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
from hsm.agreement import AgreementKey
from hsm.inventory import list_objects
point = bytes.fromhex(sys.argv[1])
for uri, pin in zip(*[iter(sys.argv[2:])] * 2):
    token = open_token(Pkcs11Uri.parse(uri), PinFile(Path(pin)), LaneSettings())
    for one in list_objects(token):
        if one.kind == "private-key" and "CKA_DERIVE" in one.flags:
            print(AgreementKey.find(token, Pkcs11Uri(id=one.id)).agree(point).hex())
        if one.kind == "secret-key" and "CKA_SIGN" in one.flags:
            print(token.mac_key(Pkcs11Uri(id=one.id)).mac(point).hex())
    token.close()
"""


def everything_the_pins_give(box: RunningBox, point: bytes) -> list[bytes]:
    settings = read_settings(box.home.settings)
    arguments = [part for token in settings.tokens for part in (token.uri, str(box.home.root / token.pin_file))]
    environment = {**os.environ, "SOFTHSM2_CONF": str(box.home.tokens / "softhsm2.conf")}
    command = [sys.executable, "-c", _HOLDER_OF_PINS, point.hex(), *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return [bytes.fromhex(line) for line in ran.stdout.split()]


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


def test_the_disk_and_every_pin_do_not_open_a_bid(client: Client, letter_box: RunningBox) -> None:
    code = new_code()
    asked = fields(3600.0)
    release = load_der_public_key(client.release_key().key)
    assert isinstance(release, ec.EllipticCurvePublicKey)
    place = Context(tenant="demo", kind=DIGEST, field="price", reference=asked["tender_code"])
    made = veil(SECRET_PRICE, place, release, code=code)
    client.begin_letter("sealed-bid", asked, envelopes={"price": made.envelope.encoded()})

    agreed = everything_the_pins_give(letter_box, made.envelope.header.point)
    assert made.agreed in agreed, "the release key did its half"
    kept = files(letter_box.home.root)
    flat, secret = code.replace("-", ""), code_secret(code)
    hidden = (SECRET_PRICE, b"7777777", code.encode(), flat.encode(), flat[:-1].encode(), secret, secret[1:])
    spelled = [base64.b64encode(one) for one in hidden] + [one.hex().encode() for one in hidden]
    for path, content in kept.items():
        assert not any(one in content for one in (*hidden, *spelled)), path

    # Every string of a PIN or key that the box keeps, and everything that its tokens make, taken for the code or share.
    candidates = [
        content
        for path, content in kept.items()
        if len(content) <= 4096 and path.is_relative_to(letter_box.home.secrets)
    ]
    candidates += [*agreed, b"", bytes(17), bytes(32), *(code_secret(new_code()) for _ in range(20))]
    associated = made.envelope.header.encoded()
    for candidate in candidates:
        for half in agreed:
            key, nonce = veil_module._keys(half, candidate, associated)
            try:
                AESGCM(key).decrypt(nonce, made.envelope.ciphertext, associated)
            except InvalidTag:
                continue
            raise AssertionError("the box opened it alone")
    assert reopen(made.envelope, made.agreed, code).plaintext == SECRET_PRICE
    assert len(SYMBOLS) ** 27 >= 2**128
    assert msgspec.to_builtins(made.envelope.header)["outside"] == "code"


def test_a_sender_fetches_the_release_key_and_veils(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    """The page's own commands, from the key to the letter."""
    asked = fields(3600.0)
    (tmp_path / "price.json").write_text('{"currency": "CNY", "amount": "12.00"}')
    where = ("--home", str(letter_box.home.root), "--as", "demo-app")
    trust = ("--trust", str(letter_box.home.trust), "--state", str(tmp_path / "seen"))
    fetched = cinnabar("veil", "key", *where, *trust, "--output", str(tmp_path / "release.pem"))
    assert fetched.returncode == 0, fetched.stderr
    assert client.release_key().id in fetched.stdout
    place = ("--tenant", "demo", "--kind-digest", DIGEST, "--field", "price", "--reference", asked["tender_code"])
    files = ("--release-key", str(tmp_path / "release.pem"), *trust, "--code-file", str(tmp_path / "code"))
    made = cinnabar("veil", "encrypt", str(tmp_path / "price.json"), *place, *files, "--output", str(tmp_path / "e"))
    assert made.returncode == 0, made.stderr
    begun = client.begin_letter("sealed-bid", asked, envelopes={"price": (tmp_path / "e").read_bytes()})
    assert client.letter(begun.happened.letter).encrypted == ["price"]
