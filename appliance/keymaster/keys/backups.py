"""The file of a key backup: wrapped keys, and all that a person must know to restore them; nothing that opens them.

Canonical JSON. Its SHA-256 is its name in proposals, so that a restore brings back exactly the file that officers mean.
A share is known by its mark, so that a wrong one is named before anything is unwrapped.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from appliance.box.home import Home
from appliance.ceremonies import DocumentRefused, decode
from appliance.ceremonies.canonical import Base64, Digest, Identifier, Instant, Name, Text
from appliance.ceremonies.constitution import ScopeName
from appliance.errors import NotFound
from appliance.keymaster.keys.shares import Share, ShareRefused

LARGEST_FILE = 1024 * 1024


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Custodian(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    person: Name
    name: Text
    index: Annotated[int, msgspec.Meta(ge=1, le=255)]
    share: Digest
    """The mark of the custodian's share (appliance.keymaster.keys.shares)."""
    handed_out: Literal["card", "console"]
    envelope: Base64 = ""
    """card: CMS EnvelopedData with the share's words, for the custodian's key alone."""


class BackedUpKey(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Name
    token: Name
    """Where it was."""
    id: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2}){1,64}\Z")]
    """CKA_ID."""
    scheme: Name
    purpose: Name
    public_key: Base64
    """SubjectPublicKeyInfo, DER."""
    attributes: dict[str, bool]
    """What the token showed when it was wrapped."""
    wrapped: Base64
    """PKCS#8 under AES key wrap with padding (RFC 5649)."""


class KeyBackup(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-key-backup/1"] = "cinnabar-key-backup/1"
    box: Identifier
    rehearsal: bool
    scope: ScopeName
    proposal: Digest
    made: Instant
    share_set: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}\Z")]
    threshold: Annotated[int, msgspec.Meta(ge=2, le=100)]
    custodians: Annotated[list[Custodian], msgspec.Meta(min_length=2, max_length=100)]
    keys: Annotated[list[BackedUpKey], msgspec.Meta(min_length=1, max_length=256)]

    def custodian_of(self, share: Share) -> Custodian:
        """Whose share this is. Raises ShareRefused, which names the custodian where the share says who it would be."""
        if share.set_id.hex() != self.share_set or share.threshold != self.threshold:
            raise ShareRefused(f"this share is of set {share.set_id.hex()}, the backup's is {self.share_set}")
        for custodian in self.custodians:
            if custodian.index == share.index:
                if custodian.share != share.mark:
                    raise ShareRefused(f"this is not the share {share.index} that {custodian.person} was given")
                return custodian
        raise ShareRefused(f"the backup has no share {share.index}")


def directory(home: Home) -> Path:
    """Where backup files stand and are looked for; to be carried away from here."""
    return home.key_backups


def read_key_backup(text: bytes) -> KeyBackup:
    """Raises DocumentRefused."""
    backup = decode(text, KeyBackup)
    for names in ([one.person for one in backup.custodians], [one.name for one in backup.keys]):
        if len(set(names)) != len(names):
            raise DocumentRefused("the backup names somebody or something twice")
    if len({one.index for one in backup.custodians}) != len(backup.custodians):
        raise DocumentRefused("two custodians have one share")
    if backup.threshold > len(backup.custodians):
        raise DocumentRefused("the backup needs more shares than there are")
    return backup


def find_key_backup(home: Home, digest: str) -> KeyBackup:
    """The backup whose file has this SHA-256, whatever the file is called. Raises NotFound, DocumentRefused."""
    place = directory(home)
    for path in sorted(place.glob("*.json")) if place.is_dir() else ():
        if path.is_file() and path.stat().st_size <= LARGEST_FILE:
            text = path.read_bytes()
            if hashlib.sha256(text).hexdigest() == digest:
                return read_key_backup(text)
    raise NotFound(f"no file in {place.relative_to(home.root)} has this SHA-256")
