"""What one file needs of the next time-stamp, once it is shown that it still holds.

Three kinds of files: an evidence record beside its original (NAME.ers and NAME), a time-stamp token beside its original
(NAME.tst and NAME), which becomes a record, and evidence of a letter (NAME.asice), in which its originals are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from appliance.algorithms import DIGESTS, digest_algorithm
from appliance.asic import renewal_of
from appliance.asic.container import LARGEST_CONTAINER
from appliance.asic.errors import ContainerRefused, EvidenceNotBuildable
from appliance.ber import definite
from appliance.der import DerError
from appliance.evidence.archives import judge_stamps
from appliance.evidence.context import Context
from appliance.evidence.findings import Check, Indication, Journal, Refusal, SubIndication
from appliance.evidence.stamps import read_stamp
from appliance.evidence.subjects import NamedBytes
from appliance.evidence.verify import verify
from appliance.evidence_records import (
    EvidenceMismatch,
    EvidenceRecord,
    EvidenceRejected,
    Renewal,
    expand,
    hash_tree_renewal,
    parse_evidence_record,
    time_stamp_renewal,
    verify_hash_chain,
    verify_links,
)
from appliance.evidence_records.record import LARGEST_RECORD, MAX_ARCHIVE_TIMESTAMPS
from appliance.quoting import quote
from appliance.renewal.errors import NotRenewed, Reason

Form = Literal["record", "token", "letter"]
FORMS: Final[Mapping[str, Form]] = {".ers": "record", ".er": "record", ".tst": "token", ".asice": "letter"}
"""By the end of a file's name."""
LETTERS_HASH: Final = "sha512"
"""Under which evidence of letters is renewed where nothing else was asked for."""
_LARGEST: Final = {"record": LARGEST_RECORD, "token": LARGEST_RECORD, "letter": LARGEST_CONTAINER}
_UNTRUSTED: Final = frozenset(
    (SubIndication.NO_CERTIFICATE_CHAIN_FOUND, SubIndication.SIG_CONSTRAINTS_FAILURE, SubIndication.SIG_CRYPTO_FAILURE)
)
_ENDED: Final = frozenset((SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE, SubIndication.OUT_OF_BOUNDS_NO_POE))


@dataclass(frozen=True)
class Wanted:
    """What is asked of every file of a job."""

    hash_name: str | None
    """Under which hash the newest tree shall be; None: each record stays under its own."""
    originals: Path | None = None
    """Where the originals are, by their names; None: beside their records."""
    without_originals: bool = False
    """Renew by time-stamp alone, and do not read what the records are of."""


@dataclass(frozen=True)
class Planned:
    """A file that can be renewed."""

    form: Form
    sha256: bytes
    """Of the file as it was read: SHA-256, which is not evidence but tells whether it changed while the job ran."""
    renewal: Renewal


def form_of(path: Path) -> Form | None:
    """By its name; None for a file that is none of these."""
    return FORMS.get(path.suffix.lower())


def target_of(path: Path) -> Path:
    """Where the renewed file goes: a token's record stands beside it, everything else in its own place."""
    return path.with_suffix(".ers") if form_of(path) == "token" else path


def read(path: Path) -> bytes:
    """A file of a job, whole. Raises NotRenewed."""
    form = form_of(path)
    if form is None:
        raise NotRenewed(Reason.NOT_EVIDENCE, f"its name ends in none of {', '.join(FORMS)}")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST[form] + 1)
    except OSError as error:
        raise NotRenewed(Reason.UNREADABLE, error.strerror or "it cannot be read") from None
    if len(content) > _LARGEST[form]:
        raise NotRenewed(Reason.NOT_EVIDENCE, f"it has more than {_LARGEST[form]} bytes")
    return content


class Planner:
    """Judges files at the time of one context. Records of one batch share their tokens, which are judged once."""

    def __init__(self, wanted: Wanted, context: Context) -> None:
        self._wanted = wanted
        self._context = context
        self._judged: dict[bytes, NotRenewed | None] = {}
        """By digest of all that is judged of a record apart from its trees: None where it passes."""

    def plan(self, path: Path) -> Planned:
        """What a file needs. Raises NotRenewed."""
        content, form = read(path), form_of(path)
        assert form is not None  # noqa: S101 - read saw to it
        try:
            if form == "letter":
                renewal = self._letter(path.name, content)
            else:
                if form == "token" and target_of(path).exists():
                    raise NotRenewed(Reason.RECORD_THERE, f"{quote(target_of(path).name)} is there: renew that")
                renewal = self._record(record_of(form, content), self._original(path))
        except (EvidenceRejected, ContainerRefused, EvidenceNotBuildable, DerError, Refusal) as error:
            raise NotRenewed(Reason.NOT_EVIDENCE, str(error)) from None
        return Planned(form, hashlib.sha256(content).digest(), renewal)

    def _original(self, path: Path) -> Path | None:
        """What the record is of."""
        wanted = self._wanted
        if wanted.without_originals:
            return None
        directory, stem = path.parent if wanted.originals is None else wanted.originals, path.stem
        # The second record of a file, under another hash, is FILE.HASH.ers (cinnabar bulk-stamp --also).
        also = stem.rpartition(".")[0] if stem.rpartition(".")[2] in DIGESTS else ""
        for name in (stem, also):
            if name and (directory / name).is_file():
                return directory / name
        raise NotRenewed(Reason.MISSING_ORIGINAL, f"{quote(str(directory / stem))} is not there")

    def _record(self, encoded: bytes, original: Path | None) -> Renewal:
        record = parse_evidence_record(encoded)
        if sum(map(len, record.chains)) >= MAX_ARCHIVE_TIMESTAMPS:
            raise NotRenewed(Reason.RENEWED_TOO_OFTEN, f"it has {MAX_ARCHIVE_TIMESTAMPS} time-stamps")
        last = record.chains[-1][0].algorithm.name
        hash_name = self._wanted.hash_name or last
        names = {chain[0].algorithm.name for chain in record.chains} | {hash_name}
        digests = None if original is None else _digests(original, names)
        _check_trees(record, digests)
        self._check_tokens(record)
        if hash_name == last:
            return time_stamp_renewal(encoded)
        if digests is None:
            raise NotRenewed(Reason.MISSING_ORIGINAL, f"its tree is of {last}: another hash needs the original")
        return hash_tree_renewal(encoded, hash_name, [digests[hash_name]])

    def _check_tokens(self, record: EvidenceRecord) -> None:
        key = hashlib.sha256()
        for chain in record.chains:
            key.update(f"chain of {len(chain)}\n".encode())
            for stamp in chain:
                key.update(hashlib.sha256(stamp.token).digest())
        place = key.digest()
        if place not in self._judged:
            journal = Journal()
            judge_stamps(journal, record, self._context, lambda _: None)
            journal.complete()
            passed = journal.indication is Indication.PASSED
            self._judged[place] = None if passed else _not_passed(journal.checks)
        refused = self._judged[place]
        if refused is not None:
            raise NotRenewed(refused.reason, str(refused))

    def _letter(self, name: str, content: bytes) -> Renewal:
        report = verify([NamedBytes(name, content)], self._context.trust, now_us=self._context.now_us)
        if report.indication is not Indication.PASSED:
            raise _not_passed([check for part in report.files[0].parts for check in part.checks])
        return renewal_of(content, self._wanted.hash_name or LETTERS_HASH)


def record_of(form: Form, content: bytes) -> bytes:
    """The evidence record that a file is, or that a bare token makes (RFC 4998, section 4.1). Raises EvidenceRejected,
    DerError, Refusal."""
    if form == "record":
        return content
    stamp = read_stamp(definite(content))
    return expand(stamp.info.imprint, b"", stamp.encoded)


def _check_trees(record: EvidenceRecord, digests: Mapping[str, bytes] | None) -> None:
    try:
        if digests is None:
            verify_links(record)
        else:
            verify_hash_chain(record, digests)
    except EvidenceMismatch as error:
        raise NotRenewed(Reason.CHANGED_ORIGINAL, f"the record does not prove the file beside it: {error}") from None


def _not_passed(checks: Iterable[Check]) -> NotRenewed:
    found = [one for one in checks if one.sub_indication is not None]
    subs = {one.sub_indication for one in found}
    if subs & _ENDED:
        reason = Reason.EXPIRED
    elif subs & _UNTRUSTED:
        reason = Reason.UNTRUSTED_TOKEN
    else:
        reason = Reason.NOT_PASSED
    return NotRenewed(reason, " ".join(dict.fromkeys(one.text for one in found)) or "it does not pass")


def _digests(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Digests of a file, which is read once."""
    hashes = {name: digest_algorithm(name).new(b"") for name in sorted(names)}
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                for one in hashes.values():
                    one.update(piece)
    except OSError as error:
        raise NotRenewed(Reason.MISSING_ORIGINAL, f"{quote(str(path))}: {error.strerror}") from None
    return {name: one.digest() for name, one in hashes.items()}
