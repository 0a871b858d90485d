"""The exports that the logs have on record, against the files: what was deleted or changed does not go unnoticed."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from appliance.audit.client import AuditClient
from appliance.audit.filters import Filter
from appliance.audit.pages import PAGE_LIMIT
from appliance.audit.writers import PROOF_SUFFIX, SUFFIXES
from appliance.evidence.export_lines import MADE, MANIFEST_FILE, READING_FORMAT

Found = Literal["here", "changed", "not here"]


class KnownExport(NamedTuple):
    """An export that a log has on record."""

    export: str
    log: str
    time: int
    """Microseconds since the epoch."""
    person: str
    shown: int
    digest: str


def known_exports(client: AuditClient, log: str) -> Iterator[KnownExport]:
    """What a log has on record, the newest first."""
    wanted, cursor = Filter(kinds=["administration"], text=f'"action":"{MADE}"'), None
    while True:
        page = client.entries(log, wanted, cursor=cursor, limit=PAGE_LIMIT)
        for entry in page.entries:
            said = json.loads(entry.content or "{}")
            if said.get("format") == READING_FORMAT and said.get("action") == MADE:
                yield KnownExport(
                    said["export"], log, said["time"], said["person"], said["count"], said.get("digest", "")
                )
        cursor = page.next
        if cursor is None:
            return


def look(directory: Path, known: KnownExport) -> Found:
    """Whether the export's file is still what was written."""
    for suffix in (SUFFIXES["jsonl"], SUFFIXES["csv"] + PROOF_SUFFIX, SUFFIXES["asice"]):
        path = directory / (known.export + suffix)
        if path.exists():
            same = _digest(path) == known.digest
            table = path.with_name(path.name.removesuffix(PROOF_SUFFIX))
            if suffix.endswith(PROOF_SUFFIX):
                same = same and table.exists() and _names(path, table)
            return "here" if same else "changed"
    return "not here"


def _digest(path: Path) -> str:
    """What the record of an export names: see docs/audit.md."""
    if path.suffix == SUFFIXES["asice"]:
        try:
            with zipfile.ZipFile(path) as container:
                return hashlib.sha256(container.read(MANIFEST_FILE)).hexdigest()
        except (zipfile.BadZipFile, KeyError, OSError):
            return ""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        held = b""
        for line in file:
            hasher.update(held)
            held = line
    return hasher.hexdigest()


def _names(proof: Path, table: Path) -> bool:
    with table.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest().encode()
    return digest in proof.read_bytes()
