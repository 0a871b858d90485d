"""COSE receipts of inclusion (RFC 9942): a COSE_Sign1 over the tree's root, the root detached.

The log signs its root once a checkpoint; a leaf's receipt is that signature with the leaf's audit path beside it, so
that any number of receipts costs one HSM call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.log import tree
from appliance.log.cbor import Tagged, read_item
from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedProof, SignatureInvalid
from appliance.log.note import Sign, VerifierKey
from appliance.tree_hash import LARGEST_HASH, SHA256, SHA512, SM3, TreeHash

_ALGORITHM, _KEY_ID = 1, 4
_EDDSA = -8
_VDS, _VDP, _INCLUSION = 395, 396, -1
_TREES = {SHA256.name: 1, SHA512.name: -65_537, SM3.name: -65_538}
"""Verifiable data structures: RFC9162_SHA256 is registered, the others are ours: none but SHA-256 has a number yet."""
_COSE_SIGN1 = 18
MAXIMUM_RECEIPT_BYTES = 65_536


def _key_id(key: VerifierKey) -> bytes:
    """The `kid` of a log key: key name, plus sign, key id in hex, as its verifier key begins."""
    return f"{key.name}+{key.key_id.hex()}".encode()


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Sig_structure of COSE_Sign1 (RFC 9052, section 4.4)."""
    return cbor2.dumps(["Signature1", protected, b"", payload])


@dataclass(frozen=True)
class SignedRoot:
    """A log's COSE signature over the root of the tree of `size`."""

    size: int
    root: bytes
    protected: bytes
    """The protected header, encoded: alg EdDSA (-8), kid, vds RFC9162_SHA256 (1) or that of the log's hash."""
    signature: bytes

    def encode(self) -> bytes:
        """For storage beside the checkpoint: CBOR array of the four members."""
        return cbor2.dumps([self.size, self.root, self.protected, self.signature])

    @classmethod
    def decode(cls, data: bytes) -> SignedRoot:
        """Read what `encode` wrote. Raises MalformedProof."""
        match read_item(data):
            case [int(size), bytes(root), bytes(protected), bytes(signature)] if len(root) <= LARGEST_HASH:
                return cls(size, root, protected, signature)
        raise MalformedProof("not a signed root")


def prepare_root(root: bytes, key: VerifierKey, hashing: TreeHash = SHA256) -> tuple[bytes, bytes]:
    """(protected header, message to sign) for a log key's COSE signature over a root."""
    protected = cbor2.dumps({_ALGORITHM: _EDDSA, _KEY_ID: _key_id(key), _VDS: _TREES[hashing.name]})
    return protected, _to_be_signed(protected, root)


def sign_root(size: int, root: bytes, key: VerifierKey, sign: Sign, hashing: TreeHash = SHA256) -> SignedRoot:
    """Sign a root with a log key: one call of `sign`."""
    protected, message = prepare_root(root, key, hashing)
    return SignedRoot(size, root, protected, sign(message))


def make_receipt(signed: SignedRoot, index: int, path: Iterable[bytes]) -> bytes:
    """The receipt of inclusion of leaf `index`, tagged COSE_Sign1."""
    proof = cbor2.dumps([signed.size, index, list(path)])
    return cbor2.dumps(
        cbor2.CBORTag(_COSE_SIGN1, [signed.protected, {_VDP: {_INCLUSION: [proof]}}, None, signed.signature])
    )


@dataclass(frozen=True)
class Receipt:
    size: int
    index: int
    path: tuple[bytes, ...]
    protected: bytes
    signature: bytes


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt with one inclusion proof. Raises MalformedProof."""
    if len(data) > MAXIMUM_RECEIPT_BYTES:
        raise MalformedProof(f"a receipt of more than {MAXIMUM_RECEIPT_BYTES} bytes")
    message = read_item(data)
    if not isinstance(message, Tagged) or message.tag != _COSE_SIGN1:
        raise MalformedProof("a receipt is a tagged COSE_Sign1")
    match message.value:
        case [bytes(protected), Mapping() as unprotected, None, bytes(signature)]:
            _read_header(protected)
            proofs = unprotected.get(_VDP)
        case _:
            raise MalformedProof("a receipt is a COSE_Sign1 with a detached payload")
    match proofs:
        case Mapping() if isinstance(inclusion := proofs.get(_INCLUSION), list) and len(inclusion) == 1:
            proof = read_item(inclusion[0]) if isinstance(inclusion[0], bytes) else None
        case _:
            raise MalformedProof("a receipt of inclusion has one inclusion proof")
    match proof:
        case [int(size), int(index), [*path]] if all(isinstance(step, bytes) for step in path):
            return Receipt(size, index, tuple(step for step in path if isinstance(step, bytes)), protected, signature)
    raise MalformedProof("the receipt's inclusion proof is not of its format")


def verify_receipt(receipt: Receipt, entry: bytes, keys: Iterable[LogKey], hashing: TreeHash = SHA256) -> bytes:
    """Verify a receipt of inclusion; returns the root it shows. First the proof, then the signature (section 5.2.1).

    Raises ProofInvalid or SignatureInvalid. A COSE signature covers the root alone: which keys may sign at which size
    is checked against the size that the proof names.
    """
    leaf = tree.leaf_hash(entry, hashing)
    root = tree.root_from_inclusion(receipt.index, receipt.size, leaf, receipt.path, hashing)
    verify_signed_root(SignedRoot(receipt.size, root, receipt.protected, receipt.signature), keys, hashing)
    return root


def verify_signed_root(signed: SignedRoot, keys: Iterable[LogKey], hashing: TreeHash = SHA256) -> None:
    """Raise SignatureInvalid unless a key of the log that may sign at this size signed this root."""
    key_id, structure = _read_header(signed.protected)
    message = _to_be_signed(signed.protected, signed.root)
    for key in keys:
        if _key_id(key.verifier) == key_id and key.signs(signed.size) and structure == _TREES[hashing.name]:
            try:
                Ed25519PublicKey.from_public_bytes(key.verifier.public).verify(signed.signature, message)
            except InvalidSignature:
                break
            return
    raise SignatureInvalid("no known key of the log signed the root that this leads to")


def _read_header(protected: bytes) -> tuple[bytes, int]:
    """The `kid` of a protected header, whose algorithm must be ours, and its tree's number. Raises MalformedProof."""
    match read_item(protected):
        case Mapping() as header if header.get(_ALGORITHM) == _EDDSA:
            key_id, structure = header.get(_KEY_ID), header.get(_VDS)
            if isinstance(key_id, bytes) and isinstance(structure, int) and structure in _TREES.values():
                return key_id, structure
    raise MalformedProof("the signature is not EdDSA over a tree of RFC 9162, or names no key")
