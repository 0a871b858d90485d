"""A block: its header's hash, its transactions' hash, and the seals of the orderers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.anchors.fabric.identities import Member, Members, NotAMember, Part
from appliance.anchors.fabric.messages import (
    SIGNATURES,
    TRANSACTIONS_FILTER,
    Block,
    BlockHeader,
    IdentifierHeader,
    Metadata,
    MetadataSignature,
    SignatureHeader,
)
from appliance.anchors.fabric.rules import Orderers
from appliance.anchors.fabric.wire import MalformedMessage
from appliance.der import integer, octet_string, sequence

MOST_SIGNATURES: Final = 256
"""Of one block."""


def header_bytes(header: BlockHeader) -> bytes:
    """What orderers sign of a header, and what its hash is made of: the DER of number, previous hash and data hash."""
    return sequence(integer(header.number), octet_string(header.previous_hash), octet_string(header.data_hash))


def header_hash(header: BlockHeader) -> bytes:
    """SHA-256, 32 bytes: the next block's previous hash."""
    return hashlib.sha256(header_bytes(header)).digest()


def data_hash(transactions: Sequence[bytes]) -> bytes:
    """SHA-256 over the transactions, one after the other, 32 bytes. Where one ends does not enter into it."""
    return hashlib.sha256(b"".join(transactions)).digest()


def validation_code(block: Block, place: int) -> int | None:
    """What peers said of the transaction at that place: 0 is valid (protos.TxValidationCode); None: nothing."""
    codes = _metadata(block, TRANSACTIONS_FILTER)
    return codes[place] if place < len(codes) else None


def seals(block: Block, orderers: Orderers, members: Members, moment: datetime) -> tuple[list[Member], int]:
    """The orderers of the profile that signed the block, each once, and how many signatures there are that do not
    count. Raises MalformedMessage."""
    header = block.header
    if header is None:
        raise MalformedMessage("the block has no header")
    metadata = Metadata.decode(_metadata(block, SIGNATURES))
    if len(metadata.signatures) > MOST_SIGNATURES:
        raise MalformedMessage(f"the block has {len(metadata.signatures)} signatures")
    found: dict[bytes, Member] = {}
    others = 0
    for one in metadata.signatures:
        # Either says who signed; the other is empty (common.MetadataSignature).
        signed = metadata.value + (one.signature_header or one.identifier_header) + header_bytes(header)
        try:
            member = _signer(one, orderers, members, moment)
        except NotAMember:
            others += 1
            continue
        if member.msp in orderers.msps and member.signed(signed, one.signature):
            found[member.certificate.fingerprint(hashes.SHA256())] = member
        else:
            others += 1
    return list(found.values()), others


def _signer(one: MetadataSignature, orderers: Orderers, members: Members, moment: datetime) -> Member:
    if one.signature_header and orderers.consenters:
        raise NotAMember("consenters sign by their numbers")
    if one.signature_header:
        creator = SignatureHeader.decode(one.signature_header).creator
        return members.identity(creator, moment, Part.ORDERER)
    identifier = IdentifierHeader.decode(one.identifier_header).identifier
    for consenter in orderers.consenters:
        if consenter.id == identifier:
            certificate = x509.load_der_x509_certificate(consenter.certificate)
            return members.holder(consenter.msp, certificate, moment, Part.ORDERER)
    raise NotAMember(f"there is no consenter {identifier}")


def _metadata(block: Block, place: int) -> bytes:
    parts = block.metadata.metadata if block.metadata is not None else ()
    return parts[place] if place < len(parts) else b""
