"""What the trust bundle must say of authorities and logs, by the ledger: housekeeping makes the next version of it."""

from __future__ import annotations

import asyncio
import base64
import datetime
import time
from collections.abc import Collection
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.box.settings import BoxSettings
from appliance.ceremonies import instant_text
from appliance.errors import Unavailable
from appliance.evidence.bundle import AuthorityCompromise, AuthorityEntry, BundleDocument, LogEntry, TrustRefused
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import read_bundle
from appliance.keymaster.certificates.algorithm_ends import read_ends, says_ends
from appliance.keymaster.certificates.log_renewals import decided_hashes, renewed_logs
from appliance.keymaster.certificates.witness_policies import read_policies, says_witnesses
from appliance.keymaster.context import Room
from appliance.keymaster.keys.ledger import KeyLedger

PATIENCE_S = 60.0
"""How long a step waits for the bundle's next version."""


class TrustNotPublished(Unavailable):
    """The trust bundle does not say yet what it must before a key is used."""

    code = "trust-not-published"
    title = "The trust bundle does not name the new key yet"


def wanted_authorities(
    root: Path, settings: BoxSettings, ledger: KeyLedger, previous: BundleDocument
) -> list[AuthorityEntry]:
    """Those of the version before, those activated since, with the policies of every unit under its authority, and what
    was declared compromised: an authority stays, so that verifiers can tell what they do not believe, and why."""
    entries = {entry.certificate: entry for entry in previous.authorities}
    in_use = {authority.name for authority in settings.authorities}
    for key in ledger.keys(None):
        if key.purpose == "authority" and key.label in in_use and key.certificates and key.activation.role:
            text = base64.b64encode(key.certificates[0]).decode()
            entries.setdefault(text, AuthorityEntry(certificate=text, role=key.activation.role))  # type: ignore[arg-type]
    for key in ledger.keys(None):
        if key.purpose == "authority" and key.compromised is not None:
            for der in key.certificates[:1]:
                text = base64.b64encode(der).decode()
                if text in entries and entries[text].compromised is msgspec.UNSET:
                    mark = AuthorityCompromise(since=_spoken(key.compromised), declared=_spoken(time.time_ns() // 1000))
                    entries[text] = msgspec.structs.replace(entries[text], compromised=mark)
    for unit in settings.units:
        chain = x509.load_pem_x509_certificates((root / unit.certificate).read_bytes())
        if len(chain) == 1:
            continue
        text = base64.b64encode(chain[1].public_bytes(serialization.Encoding.DER)).decode()
        entry = entries.get(text)
        new = [one for one in (unit.default_policy, *unit.accepted_policies) if entry and one not in entry.policies]
        if entry is not None and entry.role == "tsa" and new:
            entries[text] = msgspec.structs.replace(entry, policies=[*entry.policies, *dict.fromkeys(new)])
    return list(entries.values())


def _spoken(time_us: int) -> str:
    return instant_text(datetime.datetime.fromtimestamp(time_us // 1_000_000, datetime.UTC))


def wanted_logs(
    settings: BoxSettings, ledger: KeyLedger, decided: Collection[str], previous: BundleDocument
) -> list[LogEntry]:
    """Those of the version before, with the sizes that the ledger knows, and those that are to be used; of logs that
    were renewed under hashes `decided` on, what the settings say."""
    entries = {(entry.origin, entry.key): entry for entry in previous.logs}
    for key in ledger.keys(every=True):
        if key.purpose != "log" or not key.activation.entry:
            continue
        entry = msgspec.convert(key.activation.entry, LogEntry)
        entries[entry.origin, entry.key] = entry
    for entry in renewed_logs(settings, ledger, decided):
        entries[entry.origin, entry.key] = entry
    return list(entries.values())


def says_all(room: Room, document: BundleDocument) -> bool:
    """Whether a bundle says what it must."""
    authorities = wanted_authorities(room.home.root, room.settings, room.ledger, document)
    decided = decided_hashes(room.home.log_renewals, governed=room.constitutions.governed)
    logs = wanted_logs(room.settings, room.ledger, decided, document)
    same = authorities == list(document.authorities) and logs == list(document.logs)
    same = same and says_ends(read_ends(room.home.algorithm_ends), document)
    return same and says_witnesses(read_policies(room.home.witness_policies), document, logs)


async def trust_published(room: Room) -> int:
    """Wait until the published bundle says what it must; its version. Raises TrustNotPublished."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while asyncio.get_running_loop().time() < deadline:
        try:
            document = await asyncio.to_thread(lambda: read_bundle(read_directory(room.home.trust), None).document)
        except TrustRefused:
            document = None  # it is being replaced
        if document is not None and says_all(room, document):
            return document.version
        await asyncio.sleep(0.2)
    raise TrustNotPublished("the trust bundle does not name what was activated yet")
