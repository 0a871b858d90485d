"""The exports that the logs have on record, against the files: what was deleted or changed does not go unnoticed."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple, cast

from appliance.audit.client import AuditClient
from appliance.audit.filters import Filter
from appliance.audit.pages import PAGE_LIMIT
from appliance.audit.writers import PROOF_SUFFIX, SUFFIXES
from appliance.evidence.export_lines import MADE, MANIFEST_FILE, READING_FORMAT
from appliance.files import open_file

_MOST_AT_ONCE: Final = 64 * 1024 * 1024
"""Bytes of an export that are held in memory."""

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
    if Path(known.export).name != known.export:
        return "not here"
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
    try:
        with open_file(path) as file:
            return _digest_of_manifest(file) if path.suffix == SUFFIXES["asice"] else _digest_of_lines(file)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        return ""


def _digest_of_manifest(file: BinaryIO) -> str:
    with zipfile.ZipFile(file) as container, container.open(MANIFEST_FILE) as manifest:
        return hashlib.sha256(manifest.read(_MOST_AT_ONCE)).hexdigest()


def _digest_of_lines(file: BinaryIO) -> str:
    """Of all lines but the last."""
    hasher = hashlib.sha256()
    held = b""
    while line := file.readline(_MOST_AT_ONCE):
        hasher.update(held)
        held = line
    return hasher.hexdigest()


def _names(proof: Path, table: Path) -> bool:
    try:
        with open_file(table) as file:
            digest = hashlib.file_digest(cast("BufferedReader", file), "sha256").hexdigest().encode()
        with open_file(proof) as file:
            return any(digest in line for line in iter(lambda: file.readline(_MOST_AT_ONCE), b""))
    except OSError:
        return False
