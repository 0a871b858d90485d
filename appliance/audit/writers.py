"""The files of an export, written as a stream: JSON Lines, a table with its proof beside, an ASiC-E container.

Each is first a hidden file; `finish` flushes it and gives it its name, so that a name means a whole export.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO

import msgspec

from appliance.asic.names import ASIC_E
from appliance.evidence import export_lines as lines
from appliance.evidence.export_lines import EndLine, ExportLine, Form, RecordLine
from appliance.tree_hash import hash_of

MODE = 0o640
SUFFIXES: dict[Form, str] = {"asice": ".asice", "csv": ".csv", "jsonl": ".jsonl"}
PROOF_SUFFIX = ".proof.jsonl"
_BUFFER = 1024 * 1024
OpenedRow = tuple[int, bytes, str, str, str, int, bytes, bytes]
"""Index, record id, application, kind, key, time, salt, content."""
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class ExportFile:
    """A file on its way: hidden until it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hidden = path.with_name(f".{path.name}.partial")
        descriptor = os.open(self._hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, MODE)
        os.fchmod(descriptor, MODE)
        self.file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=_BUFFER)

    def name(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._hidden.replace(self.path)

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
        self._hidden.unlink(missing_ok=True)


class JsonLinesExport:
    """One file, all of it. `digest`: SHA-256 of the lines up to the end line, which the box's record names."""

    def __init__(self, directory: Path, name: str) -> None:
        self._made = ExportFile(directory / (name + SUFFIXES["jsonl"]))
        self._hash = hashlib.sha256()
        self.files = [self._made.path]

    def begin(self, header: ExportLine) -> None:
        self._width = hash_of(header.origin).size
        self.lines(lines.encode_line(header))

    def lines(self, data: bytes) -> None:
        self._hash.update(data)
        self._made.file.write(data)

    def entries(self, opened: list[OpenedRow], _hashes: bytes) -> None:
        """Records that follow each other, and their leaf hashes."""
        encode = lines.encode_entry
        self.lines(b"".join([encode(row[0], row[3], row[1], row[6], row[7]) for row in opened]))

    def withheld(self, first: int, hashes: bytes) -> None:
        self.lines(lines.withheld_lines(first, hashes, self._width))

    def end(self, line: EndLine) -> bytes:
        """The last line but one. Gives the digest."""
        self.lines(lines.encode_line(line))
        return self._hash.digest()

    def finish(self, record: RecordLine) -> None:
        self._made.file.write(lines.encode_line(record))
        self._made.name()

    def drop(self) -> None:
        self._made.drop()


class TableExport(JsonLinesExport):
    """A CSV table of the records (RFC 4180), and beside it the proof: every leaf hash, and the table's SHA-256."""

    def __init__(self, directory: Path, name: str) -> None:
        self._made = ExportFile(directory / (name + SUFFIXES["csv"] + PROOF_SUFFIX))
        self._hash = hashlib.sha256()
        self._table = ExportFile(directory / (name + SUFFIXES["csv"]))
        self._table_hash = hashlib.sha256()
        self.files = [self._table.path, self._made.path]
        self._rows(lines.table_head())

    def _rows(self, data: bytes) -> None:
        self._table_hash.update(data)
        self._table.file.write(data)

    def entries(self, opened: list[OpenedRow], hashes: bytes) -> None:
        cell = _word
        self._rows(
            "".join(
                [
                    f"{index},{_instant(time)},{cell(kind)},{cell(key)},{cell(application)},{record_id.hex()},"
                    f"{salt.hex()},{lines.cell(content.decode())}\r\n"
                    for index, record_id, application, kind, key, time, salt, content in opened
                ]
            ).encode()
        )
        self.withheld(opened[0][0], hashes)

    def end(self, line: EndLine) -> bytes:
        return super().end(msgspec.structs.replace(line, table=self._table_hash.hexdigest()))

    def finish(self, record: RecordLine) -> None:
        self._table.name()
        super().finish(record)

    def drop(self) -> None:
        self._table.drop()
        super().drop()


class ContainerExport(JsonLinesExport):
    """An ASiC-E container (EN 319 162-1), ZIP64, nothing compressed. `digest`: SHA-256 of its ASiCManifest.xml."""

    def __init__(self, directory: Path, name: str) -> None:
        self._made = ExportFile(directory / (name + SUFFIXES["asice"]))
        self._hash = hashlib.sha256()
        self.files = [self._made.path]
        self._zip = zipfile.ZipFile(self._made.file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._zip.writestr(zipfile.ZipInfo(lines.MIMETYPE_FILE, _ZIP_DATE), ASIC_E)
        self._member = self._zip.open(zipfile.ZipInfo(lines.ENTRIES_FILE, _ZIP_DATE), "w", force_zip64=True)

    def lines(self, data: bytes) -> None:
        self._hash.update(data)
        self._member.write(data)

    def end(self, line: EndLine) -> bytes:
        manifest = lines.manifest(super().end(line))
        self._member.close()
        self._zip.writestr(zipfile.ZipInfo(lines.MANIFEST_FILE, _ZIP_DATE), manifest)
        return hashlib.sha256(manifest).digest()

    def finish(self, record: RecordLine) -> None:
        self._zip.writestr(zipfile.ZipInfo(lines.RECORD_FILE, _ZIP_DATE), lines.encode_line(record))
        self._zip.close()
        self._made.name()

    def drop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._member.close()
            self._zip.close()
        super().drop()


WRITERS: dict[Form, type[JsonLinesExport]] = {
    "asice": ContainerExport,
    "csv": TableExport,
    "jsonl": JsonLinesExport,
}


def _instant(time_us: int) -> str:
    seconds, rest = divmod(time_us, 1_000_000)
    return f"{_second(seconds)}.{rest:06d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


_word = lru_cache(maxsize=1_024)(lines.cell)  # kinds, keys and applications are few
