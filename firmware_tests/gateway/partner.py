"""A partner that is not ours: openssl's command line, the standard library and AES-GCM, from docs/gateway.md alone.

Nothing here imports the appliance. openssl signs, agrees on secrets, derives and decrypts keys; AES-GCM, which its
command line does not have, is the library's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def openssl(*arguments: str | Path, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un64u(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What stands before the uncompressed point in a SubjectPublicKeyInfo of P-256 (RFC 5480)."""


@dataclass
class Party:
    """Keys as files. `sign` is one of RS256, PS256, ES256, ES384."""

    directory: Path
    sign: str = "ES256"
    encrypt: str = "ECDH-ES"

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        kinds = {"ES256": "P-256", "ES384": "P-384", "ECDH-ES": "P-256"}
        for name, kind in (("sign", self.sign), ("encrypt", self.encrypt)):
            key, certificate = self.directory / f"{name}.key", self.directory / f"{name}.crt"
            if kind in kinds:
                openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kinds[kind]}", "-out", key)
            else:
                openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
            openssl("req", "-x509", "-new", "-key", key, "-subj", f"/CN=partner {name}", "-days", "30",
                    "-out", certificate)  # fmt: skip

    def certificate(self, name: str) -> bytes:
        return openssl("x509", "-in", self.directory / f"{name}.crt", "-outform", "DER")

    def signature(self, text: bytes) -> bytes:
        path = self.directory / "text"
        path.write_bytes(text)
        digest = "-sha384" if self.sign == "ES384" else "-sha256"
        options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"] if self.sign == "PS256" else []
        return openssl("dgst", digest, "-sign", self.directory / "sign.key", *options, path)

    def agree(self, point: bytes, key: str = "encrypt.key") -> bytes:
        peer = self.directory / "peer.der"
        peer.write_bytes(SPKI_P256 + point)
        return openssl("pkeyutl", "-derive", "-inkey", self.directory / key, "-peerkey", peer)

    def ephemeral(self, receiver: bytes) -> tuple[bytes, bytes]:
        """(point, agreed) with the receiver's SubjectPublicKeyInfo, DER."""
        key = self.directory / "ephemeral.key"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        point = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-65:]
        assert receiver[:26] == SPKI_P256
        return point, self.agree(receiver[-65:], "ephemeral.key")

    def decrypt_key(self, encrypted: bytes) -> bytes:
        options = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")
        return openssl("pkeyutl", "-decrypt", "-inkey", self.directory / "encrypt.key",
                       *(part for one in options for part in ("-pkeyopt", one)), given=encrypted)  # fmt: skip


def concat_kdf(agreed: bytes, algorithm: str, sender: str, receiver: str) -> bytes:
    """One round of SHA-256 gives the 32 bytes (NIST SP 800-56A, 5.8.1; RFC 7518, 4.6.2)."""
    text = (1).to_bytes(4, "big") + agreed
    for part in (algorithm, sender, receiver):
        text += len(part).to_bytes(4, "big") + part.encode()
    return hashlib.sha256(text + (256).to_bytes(4, "big")).digest()


def wrap(kek: bytes, key: bytes) -> bytes:
    """AES key wrap, RFC 3394."""
    return openssl("enc", "-e", "-id-aes256-wrap", "-K", kek.hex(), "-iv", "A6" * 8, given=key)


def unwrap(kek: bytes, wrapped: bytes) -> bytes:
    return openssl("enc", "-d", "-id-aes256-wrap", "-K", kek.hex(), "-iv", "A6" * 8, given=wrapped)


def verify(certificate: bytes, algorithm: str, signature: bytes, text: bytes, directory: Path) -> None:
    """Against the box's certificate, DER."""
    files = {name: directory / name for name in ("box.der", "box.pub", "box.sig", "box.text")}
    files["box.der"].write_bytes(certificate)
    files["box.sig"].write_bytes(signature)
    files["box.text"].write_bytes(text)
    files["box.pub"].write_bytes(openssl("x509", "-in", files["box.der"], "-inform", "DER", "-pubkey", "-noout"))
    digest = "-sha384" if algorithm == "ES384" else "-sha256"
    options = ["-sigopt", "rsa_padding_mode:pss"] if algorithm == "PS256" else []
    openssl("dgst", digest, "-verify", files["box.pub"], *options, "-signature", files["box.sig"], files["box.text"])


def place(nonce: str, sender: str, receiver: str, time_ms: int) -> str:
    return f"nonceStr={nonce}&receiver={receiver}&sender={sender}&timeStamp={time_ms}"


def write_envelope(
    party: Party, receiver_key: bytes, content: bytes, sender: str, receiver: str, nonce: str, time_ms: int
) -> dict[str, str]:
    """The five members."""
    content_key, iv = bytes(range(32)), bytes(range(12))
    at = place(nonce, sender, receiver, time_ms)
    data = base64.b64encode(iv + AESGCM(content_key).encrypt(iv, content, at.encode())).decode()
    point, agreed = party.ephemeral(receiver_key)
    wrapped = wrap(concat_kdf(agreed, "ECDH-ES+A256KW", sender, receiver), content_key)
    encrypted = base64.b64encode(point + wrapped).decode()
    text = f"data={data}&encrypt={encrypted}&{at}"
    sign = base64.b64encode(party.signature(text.encode())).decode()
    return {"data": data, "encrypt": encrypted, "nonceStr": nonce, "timeStamp": str(time_ms), "sign": sign}


def read_envelope(party: Party, raw: bytes, sender: str, receiver: str, certificate: bytes, algorithm: str) -> bytes:
    """What the box answered: verified, then decrypted."""
    envelope = json.loads(raw)
    assert set(envelope) == {"data", "encrypt", "nonceStr", "timeStamp", "sign"}
    at = place(envelope["nonceStr"], sender, receiver, int(envelope["timeStamp"]))
    text = f"data={envelope['data']}&encrypt={envelope['encrypt']}&{at}".encode()
    verify(certificate, algorithm, base64.b64decode(envelope["sign"]), text, party.directory)
    encrypted, data = base64.b64decode(envelope["encrypt"]), base64.b64decode(envelope["data"])
    if party.encrypt == "ECDH-ES":
        kek = concat_kdf(party.agree(encrypted[:65]), "ECDH-ES+A256KW", sender, receiver)
        content_key = unwrap(kek, encrypted[65:])
    else:
        content_key = party.decrypt_key(encrypted)
    return AESGCM(content_key).decrypt(data[:12], data[12:], at.encode())


def der_to_raw(signature: bytes, half: int) -> bytes:
    """r and s out of an ECDSA signature in DER, read by openssl."""
    numbers = [
        line.split(b":")[-1] for line in openssl("asn1parse", "-inform", "DER", given=signature).splitlines()[1:]
    ]
    return b"".join(int(one, 16).to_bytes(half, "big") for one in numbers)


def raw_to_der(raw: bytes) -> bytes:
    def integer(number: bytes) -> bytes:
        number = number.lstrip(b"\0") or b"\0"
        number = b"\0" + number if number[0] & 0x80 else number
        return b"\x02" + bytes([len(number)]) + number

    half = len(raw) // 2
    body = integer(raw[:half]) + integer(raw[half:])
    return b"\x30" + bytes([len(body)]) + body


def write_jose(
    party: Party, receiver_key: bytes, content: bytes, sender: str, receiver: str, nonce: str, time_s: int,
    **changed: str,
) -> bytes:  # fmt: skip
    """JWS over JWE; `changed`: members of the outer header."""
    point, agreed = party.ephemeral(receiver_key)
    inner = b64u(json.dumps({
        "alg": "ECDH-ES", "enc": "A256GCM", "cty": "json", "iss": sender, "aud": receiver, "jti": nonce,
        "apu": b64u(sender.encode()), "apv": b64u(receiver.encode()),
        "epk": {"kty": "EC", "crv": "P-256", "x": b64u(point[1:33]), "y": b64u(point[33:])},
    }).encode())  # fmt: skip
    iv = bytes(range(12))
    sealed = AESGCM(concat_kdf(agreed, "A256GCM", sender, receiver)).encrypt(iv, content, inner.encode())
    jwe = ".".join([inner, "", b64u(iv), b64u(sealed[:-16]), b64u(sealed[-16:])])
    header = {
        "alg": party.sign, "typ": "cinnabar-message", "cty": "JWE", "iss": sender, "aud": receiver, "jti": nonce,
        "iat": time_s, "x5t#S256": b64u(hashlib.sha256(party.certificate("sign")).digest()),
    } | changed  # fmt: skip
    text = f"{b64u(json.dumps(header).encode())}.{b64u(jwe.encode())}"
    signature = party.signature(text.encode())
    if party.sign in {"ES256", "ES384"}:
        signature = der_to_raw(signature, 32 if party.sign == "ES256" else 48)
    return f"{text}.{b64u(signature)}".encode()


def read_jose(party: Party, raw: bytes, sender: str, receiver: str, certificate: bytes, algorithm: str) -> bytes:
    head, payload, signature = raw.decode().split(".")
    header = json.loads(un64u(head))
    assert (header["iss"], header["aud"], header["alg"], header["typ"], header["cty"]) == (
        sender, receiver, algorithm, "cinnabar-message", "JWE",
    )  # fmt: skip
    assert un64u(header["x5t#S256"]) == hashlib.sha256(certificate).digest()
    found = un64u(signature)
    found = raw_to_der(found) if algorithm in {"ES256", "ES384"} else found
    verify(certificate, algorithm, found, f"{head}.{payload}".encode(), party.directory)
    inner, encrypted, iv, ciphertext, tag = un64u(payload).decode().split(".")
    told = json.loads(un64u(inner))
    assert (told["iss"], told["aud"], told["jti"], told["enc"]) == (sender, receiver, header["jti"], "A256GCM")
    if party.encrypt == "ECDH-ES":
        point = b"\x04" + un64u(told["epk"]["x"]) + un64u(told["epk"]["y"])
        content_key = concat_kdf(party.agree(point), "A256GCM", sender, receiver)
    else:
        content_key = party.decrypt_key(un64u(encrypted))
    return AESGCM(content_key).decrypt(un64u(iv), un64u(ciphertext) + un64u(tag), inner.encode())
