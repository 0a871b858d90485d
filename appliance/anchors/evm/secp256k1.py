"""secp256k1 as Ethereum uses it: the signature itself tells who signed (SEC 1, section 4.1.6), as an address."""

from __future__ import annotations

from coincurve import PublicKey

from appliance.anchors.evm.errors import MalformedChainData
from appliance.anchors.evm.keccak import keccak256

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order of the curve's group (SEC 2, section 2.4.1)."""

ADDRESS_BYTES = 20
DIGEST_BYTES = 32


def address_of(public_key: bytes) -> bytes:
    """The account of a public key: the last 20 bytes of Keccak-256 over its point.

    `public_key` is a SEC 1 point, 33 or 65 bytes. Raises MalformedChainData.
    """
    try:
        point = PublicKey(public_key).format(compressed=False)
    except ValueError:
        raise MalformedChainData("not a point of secp256k1") from None
    return keccak256(point[1:])[-ADDRESS_BYTES:]


def recover(digest: bytes, r: int, s: int, parity: int) -> bytes:
    """The address (20 bytes) whose key made this signature over a digest of 32 bytes. Raises MalformedChainData.

    Most numbers in range yield some address: compare what was recovered with what is expected.
    """
    if len(digest) != DIGEST_BYTES or not 0 < r < ORDER or not 0 < s < ORDER or parity not in (0, 1):
        raise MalformedChainData("not a recoverable signature of secp256k1")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception:  # noqa: BLE001 - coincurve raises a plain Exception where no key fits
        raise MalformedChainData("no key makes this signature") from None
    return keccak256(key.format(compressed=False)[1:])[-ADDRESS_BYTES:]


def normalised(digest: bytes, r: int, s: int, address: bytes) -> tuple[int, int, int]:
    """(r, s, parity) of a plain ECDSA signature, as a token gives it, in the form that chains take.

    Chains take the lower of the two equivalent s (EIP-2). Raises MalformedChainData when it is not of `address`.
    """
    s = min(s, ORDER - s)
    for parity in (0, 1):
        try:
            if recover(digest, r, s, parity) == address:
                return r, s, parity
        except MalformedChainData:
            continue
    raise MalformedChainData("the signature is not that of the account")
