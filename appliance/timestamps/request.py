"""Decoding a TimeStampReq (RFC 3161, section 2.4.1): strict DER, bounded, every refusal with its failure code.

A decoder belongs to a unit and knows its digests and policies. The shape that nearly every client sends (short
lengths, a digest and a policy of the unit, a nonce of at most `NONCE_BYTES`) is recognised by comparing bytes; all
else goes to the plain decoder, which finds the same or says what is wrong. A test holds the two together.
"""

from __future__ import annotations

import msgspec

from appliance import der
from appliance.algorithms import DIGESTS_BY_OID, DigestAlgorithm
from appliance.timestamps.errors import FailureInfo, StampRejected

NONCE_BYTES = 32
"""The longest nonce: content bytes of its INTEGER. Clients in use send 8 to 20."""

_VERSION_1 = b"\x02\x01\x01"
_CERT_REQ = der.ENCODED_TRUE


class StampRequest(msgspec.Struct, frozen=True, gc=False):
    """What a client asks for."""

    digest_name: str
    digest: bytes
    imprint: bytes
    """DER MessageImprint exactly as it was sent."""
    policy: bytes
    """DER OBJECT IDENTIFIER, or empty: the unit's default."""
    nonce: bytes
    """DER INTEGER exactly as it was sent, or empty."""
    certificates: bool
    """certReq: whether the token is to carry the unit's certificate and its chain."""


def imprint_heads(digest: DigestAlgorithm) -> list[bytes]:
    """The bytes of a DER MessageImprint before the digest itself: without parameters, and with NULL."""
    heads = []
    for identifier in (digest.identifier, digest.identifier_with_null):
        octets = der.header(der.OCTET_STRING, digest.size)
        heads.append(der.header(der.SEQUENCE, len(identifier) + len(octets) + digest.size) + identifier + octets)
    return heads


class RequestDecoder:
    """Decodes the requests of one unit."""

    def __init__(self, digests: list[DigestAlgorithm], policies: list[str], *, limit: int) -> None:
        """`limit`: the largest request in bytes; `policies`: dotted decimals."""
        self._limit = limit
        self._digests = {digest.oid: digest for digest in digests}
        self._policies = frozenset(der.oid(policy) for policy in policies)
        self._heads = {
            head: (digest.name, len(head), len(head) + digest.size)
            for digest in digests
            for head in imprint_heads(digest)
        }
        self._head_lengths = sorted({len(head) for head in self._heads}, reverse=True)

    def decode(self, data: bytes) -> StampRequest:
        """The request, or StampRejected. Extensions are always refused: the box knows none."""
        size = len(data)
        if size > self._limit:
            raise StampRejected(FailureInfo.badRequest, f"the request is larger than {self._limit} bytes")
        return self._decode_usual(data, size) or self.decode_plain(data)

    def _decode_usual(self, data: bytes, size: int) -> StampRequest | None:
        """The usual shape, or None. Every byte that it accepts is compared or bounded here."""
        if size < 130:
            start = 2
            if data[:2] != b"\x30%c" % max(size - 2, 0):
                return None
        elif 130 < size < 259:
            start = 3
            if data[:3] != b"\x30\x81%c" % (size - 3):
                return None
        else:
            return None
        position = start + 3
        if data[start:position] != _VERSION_1:
            return None
        for length in self._head_lengths:
            found = self._heads.get(data[position : position + length])
            if found is not None:
                break
        else:
            return None
        name, digest_at, imprint_size = found
        stop = position + imprint_size
        if stop > size:
            return None
        imprint = data[position:stop]
        policy = nonce = b""
        rest = data[stop:]
        if rest[:1] == b"\x06" and len(rest) > 1:
            policy = rest[: 2 + rest[1]]
            if policy not in self._policies:
                return None
            rest = rest[len(policy) :]
        if rest[:1] == b"\x02" and len(rest) > 2:
            length = rest[1]
            nonce = rest[: 2 + length]
            if not 1 <= length <= NONCE_BYTES or len(nonce) != 2 + length:
                return None
            if length > 1 and nonce[2] in (0x00, 0xFF) and (nonce[2] ^ nonce[3]) < 0x80:
                return None  # not minimal
            rest = rest[2 + length :]
        if rest and rest != _CERT_REQ:
            return None
        return StampRequest(name, imprint[digest_at:], imprint, policy, nonce, rest == _CERT_REQ)

    def decode_plain(self, data: bytes) -> StampRequest:
        """The request by the strict reader, whatever its shape. Raises StampRejected."""
        try:
            return self._read(data)
        except der.DerError as error:
            raise StampRejected(FailureInfo.badDataFormat, str(error)) from None

    def _read(self, data: bytes) -> StampRequest:
        outer = der.Reader(data)
        request = outer.enter()
        outer.finish()
        version = request.integer()
        imprint_at = request.position
        body = request.enter()
        imprint = data[imprint_at : request.position]
        algorithm = body.enter()
        algorithm_oid = algorithm.oid()
        parameters = algorithm.raw() if algorithm else der.ENCODED_NULL
        algorithm.finish()
        digest = body.octet_string()
        body.finish()
        policy_at = request.position
        policy = ""
        if request.peek() == der.OBJECT_IDENTIFIER:
            policy = request.oid()
        policy_der = data[policy_at : request.position]
        nonce = request.raw_optional(der.INTEGER) or b""
        if nonce:
            der.Reader(nonce).integer(max_bytes=len(data))
        certificates = False
        if request.peek() == der.BOOLEAN:
            certificates = request.boolean()
            if not certificates:
                raise der.DerError("certReq FALSE is the default, which DER leaves out")
        extended = _read_extensions(request)
        request.finish()

        # It is a TimeStampReq; may it be granted?
        if version != 1:
            raise StampRejected(FailureInfo.badRequest, f"version {version} is not 1")
        if algorithm_oid not in self._digests or parameters != der.ENCODED_NULL:
            known = DIGESTS_BY_OID.get(algorithm_oid)
            raise StampRejected(FailureInfo.badAlg, f"digest {known.name if known else algorithm_oid} is not accepted")
        found = self._digests[algorithm_oid]
        if len(digest) != found.size:
            raise StampRejected(FailureInfo.badDataFormat, f"a digest of {found.name} has {found.size} bytes")
        if policy and policy_der not in self._policies:
            raise StampRejected(FailureInfo.unacceptedPolicy, f"policy {policy} is not accepted")
        if len(nonce) > 2 + NONCE_BYTES:
            raise StampRejected(FailureInfo.badRequest, f"the nonce is longer than {NONCE_BYTES} bytes")
        if extended:
            raise StampRejected(FailureInfo.unacceptedExtension, f"extension {extended} is not known")
        return StampRequest(found.name, digest, imprint, policy_der, nonce, certificates)


def _read_extensions(request: der.Reader) -> str:
    """The OID of the first extension, dotted; empty if there are none."""
    extensions = request.enter_optional(der.context(0))
    if extensions is None:
        return ""
    first = ""
    while extensions or not first:
        extension = extensions.enter()
        dotted = extension.oid()
        first = first or dotted
        if extension.peek() == der.BOOLEAN and not extension.boolean():
            raise der.DerError("critical FALSE is the default, which DER leaves out")
        extension.octet_string()
        extension.finish()
    return first
