"""Encodings of signatures and digests between PKCS#11 and X.509. Pure; on the hot path, so dense."""

from __future__ import annotations

from hsm.errors import SigningFailed

# Orders of the curves' base points (SEC 2, sections 2.4.1, 2.4.2, 2.5.1).
CURVE_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp256k1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
# DER of DigestInfo up to the digest (RFC 8017, section 9.2, note 1).
DIGEST_INFO_PREFIXES = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def ecdsa_signature_to_der(raw: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279, section 2.2.3) of r||s with both halves of one size, at most 48 bytes each.

    Raises SigningFailed if the token's answer cannot be a signature.
    """
    half = len(raw) >> 1
    r = raw[:half].lstrip(b"\0")
    s = raw[half:].lstrip(b"\0")
    if not r or not s or len(raw) & 1 or half > 48:
        raise SigningFailed("the token's answer is not an ECDSA signature")
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    r_length, s_length = len(r), len(s)
    return b"0%c\x02%c%b\x02%c%b" % (r_length + s_length + 4, r_length, r, s_length, s)


def low_s(raw: bytes, order: int) -> bytes:
    """The same signature r||s with s in the lower half of the group order (needed by chains against malleability)."""
    half = len(raw) >> 1
    s = int.from_bytes(raw[half:], "big")
    if s > order >> 1:
        return raw[:half] + (order - s).to_bytes(half, "big")
    return raw


def unwrap_octet_string(value: bytes) -> bytes:
    """The content of a DER OCTET STRING; the value itself if it is none, as some tokens give EC points bare."""
    if len(value) > 2 and value[0] == 0x04:
        if value[1] == len(value) - 2 and value[1] < 0x80:
            return value[2:]
        if value[1] == 0x81 and value[2] == len(value) - 3:
            return value[3:]
    return value
