"""What the box keeps and hands out of one event: the event, what travels beside it, and the seal over all of it.

The seal is a detached CAdES signature over an ASiC manifest (ETSI EN 319 162-1, annex A.4) that names the event and
everything beside it with its SHA-256; so one signature covers them, and standard validators of ASiC-E follow it.
"""

from __future__ import annotations

import msgspec


class Artifact(msgspec.Struct, frozen=True, array_like=True):
    """See the module. Kept as msgpack in the event's record, which its tenant encrypts."""

    event: bytes
    """Canonical JSON: appliance.letters.event."""
    manifest: bytes
    """ASiCManifest, XML: what the seal signs."""
    seal: bytes
    """CMS SignedData, DER, CAdES B-T or B-B."""
    beside: dict[str, bytes]
    """Other files that the manifest names, by name: receipts, envelopes of encrypted fields, the rendered PDF."""
    disclosures: dict[str, str]
    """Of hidden fields (RFC 9901), by field; handed to the applications of the tenant, and in no manifest."""


encode_artifact = msgspec.msgpack.Encoder().encode
decode_artifact = msgspec.msgpack.Decoder(Artifact).decode
