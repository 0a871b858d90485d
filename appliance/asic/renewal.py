"""Records over an evidence file as it is (RFC 4998, EN 319 162-1): renewing one adds two entries, and alters none.

The record is of a group of data objects: every entry that stood there, earlier renewals too. The manifest names them,
each with its digest by the hash of the new tree. So one token shows that all of it existed, under a hash and a key that
are strong now, and the next renewal does the same for this one. The originals of a hash-tree renewal are in the file.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import unquote

from appliance.algorithms import digest_algorithm
from appliance.asic.container import read_container, write_container
from appliance.asic.errors import EvidenceNotBuildable, ManifestRefused
from appliance.asic.manifest import DIGEST_METHODS, Reference, write_manifest
from appliance.asic.names import (
    HELPERS,
    JSON_TYPE,
    MOST_RENEWALS,
    SEAL_TYPE,
    read_name,
    renewal_names,
)
from appliance.evidence_records import EvidenceRejected, Renewal, first_record

_TYPES: Final[Mapping[str, str]] = {
    "json": JSON_TYPE,
    "xml": "text/xml",
    "html": "text/html",
    "pdf": "application/pdf",
    "p7s": SEAL_TYPE,
    "cer": HELPERS["certificate"],
    "crl": HELPERS["crl"],
    "ors": HELPERS["ocsp"],
    "toml": HELPERS["kind"],
}
"""By the end of a name: a rule that new kinds of entries do not change."""
_OTHER: Final = "application/octet-stream"
_NAMES = {uri: name for name, uri in DIGEST_METHODS.items()}
_RECORD = re.compile(r'<asic:SigReference URI="([A-Za-z0-9./-]+)"/>')
_REFERENCE = re.compile(
    r'<asic:DataObjectReference URI="([^"<>&]*)" MimeType="([^"<>]*)"><ds:DigestMethod Algorithm="([^"<>&]*)"/>'
    r"<ds:DigestValue>([A-Za-z0-9+/=]{44,88})</ds:DigestValue></asic:DataObjectReference>"
)


class RenewalManifest(NamedTuple):
    """What the manifest of a renewal says."""

    record: str
    """The entry of its evidence record."""
    hash_name: str
    references: tuple[Reference, ...]
    """What the record is of, in the order of the file."""


def renewals_of(entries: Mapping[str, bytes]) -> int:
    """How many renewals a container has. Raises EvidenceNotBuildable where they are not counted from 1 on, or are as
    many as there may be."""
    there = [name for name in entries if (place := read_name(name)) is not None and place.role == "renewal"]
    if sorted(there) != [renewal_names(number).record for number in range(1, len(there) + 1)]:
        raise EvidenceNotBuildable("the renewals in the file are not counted from 1 on")
    return len(there)


def renewal_of(data: bytes, hash_name: str) -> Renewal:
    """What renewing an evidence file asks of a time-stamp. Raises ContainerRefused, EvidenceNotBuildable,
    UnknownAlgorithm."""
    entries = read_container(data)
    if renewals_of(entries) == MOST_RENEWALS:
        raise EvidenceNotBuildable(f"the file was renewed {MOST_RENEWALS} times, as often as one may be")
    algorithm = digest_algorithm(hash_name)
    try:
        return first_record(hash_name, [algorithm.digest(content) for content in entries.values()])
    except EvidenceRejected as error:
        raise EvidenceNotBuildable(str(error)) from None


def renewed_container(data: bytes, hash_name: str, record: bytes) -> bytes:
    """The evidence file with one more renewal. `record`: over the group that `renewal_of` gave for the same bytes and
    hash. Raises ContainerRefused, EvidenceNotBuildable."""
    entries = read_container(data)
    names = renewal_names(renewals_of(entries) + 1)
    manifest = renewal_manifest(names.record, hash_name, entries)
    return write_container([*entries.items(), (names.record, record), (names.manifest, manifest)])


def renewal_manifest(record: str, hash_name: str, entries: Mapping[str, bytes]) -> bytes:
    """The manifest of a renewal over these entries. Equal arguments give equal bytes."""
    algorithm = digest_algorithm(hash_name)
    files = [(name, _media_type(name), algorithm.digest(content)) for name, content in entries.items()]
    return write_manifest(record, "", files, hash_name)


def read_renewal_manifest(data: bytes) -> RenewalManifest:
    """Take one apart. Raises ManifestRefused for anything but the one spelling that is written here."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise _misspelt() from None
    begin = text.find("<asic:SigReference")
    record = _RECORD.match(text, max(begin, 0))
    if record is None:
        raise _misspelt()
    references: list[Reference] = []
    methods: set[str] = set()
    at = record.end()
    try:
        while (found := _REFERENCE.match(text, at)) is not None:
            name, media_type, method, encoded = found.groups()
            references.append(
                Reference(unquote(name, errors="strict"), unescape(media_type), binascii.a2b_base64(encoded))
            )
            methods.add(method)
            at = found.end()
    except (UnicodeDecodeError, binascii.Error):
        raise ManifestRefused("the manifest has a name or a digest that is none") from None
    if len(methods) != 1 or not methods <= _NAMES.keys():
        raise ManifestRefused("the manifest of a renewal has one known digest method")
    hash_name = _NAMES[methods.pop()]
    if write_manifest(record[1], "", references, hash_name) != data:
        raise _misspelt()
    if any(one.media_type != _media_type(one.name) for one in references):
        raise ManifestRefused("the manifest of a renewal states a media type that its entry has not")
    if len({one.name for one in references}) != len(references):
        raise ManifestRefused("the manifest names a file twice")
    return RenewalManifest(record[1], hash_name, tuple(references))


def _misspelt() -> ManifestRefused:
    return ManifestRefused("the manifest is not in the one spelling that is written for renewals")


def _media_type(name: str) -> str:
    return _TYPES.get(name.rpartition(".")[2], _OTHER)
