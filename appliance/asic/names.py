"""Where things stand in the evidence file of a letter (docs/letter-evidence.md).

A letter that was split off begins with an event of its parent, so one file holds events of several letters. The names
of the first letter's events carry their number alone; those of a letter that was split off carry its id as well. So
all chains of a family stand in one flat container without two entries of one name, and every manifest in it refers to
entries by the names that they have.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

MIMETYPE: Final = "mimetype"
ASIC_E: Final = "application/vnd.etsi.asic-e+zip"
"""EN 319 162-1, clause 4.4.2."""
META: Final = "META-INF/"
JSON_TYPE: Final = "application/json"
SEAL_TYPE: Final = "application/pkcs7-signature"
"""RFC 8551, section 5.1."""
LETTER: Final = META + "letter.json"
"""Which letter the file is about: the first entry after the media type."""
PAGE: Final = META + "for-people.html"
"""A page to look at. Not evidence: nothing in it is read by a verifier."""
COURT: Final = "court"
"""The tail of the court package's manifest, and with a slash the folder of its parts."""
COURT_RECORD: Final = "court"
"""Kind of a court package's record: the box's own word. What a tenant has sealed by itself is recorded as `seal`."""
RENEWAL: Final = "renewal"
"""Begins the tails of records over the file as it was, each with its manifest: renewal-0001, renewal-0002 ..."""
MOST_RENEWALS: Final = 64
ANCHOR: Final = META + "anchor-"
"""Begins the names of anchors."""
COURT_PARTS: Final = {
    "approvals.json": JSON_TYPE,
    "certificate.html": "text/html",
    "certificate.pdf": "application/pdf",
    "clock.json": JSON_TYPE,
    "keys.json": JSON_TYPE,
    "software.json": JSON_TYPE,
    "steps.json": JSON_TYPE,
}
"""What a court package may hold (K16), with media types: the approvals and their policies; the page that certifies it
all for people; the clock's record; attestations of the keys; versions of the software; who did what, from where, with
whose consent."""

HELPERS: Final = {
    "certificate": "application/pkix-cert",
    "crl": "application/pkix-crl",
    "ocsp": "application/ocsp-response",
    "kind": "application/toml",
}
"""Roles of entries that are named by their own SHA-256, with media types (RFC 2585, RFC 6960, IANA's of TOML): their
issuers vouch for them, or for a kind's file the events that name it, and the seal of a court package that they were
there."""
MOST_KINDS: Final = 4
"""Files of kinds in an evidence file. A letter keeps the kind under which it began, so one is what there is."""

Role = Literal[
    "mimetype", "letter", "page", "event", "beside", "manifest", "seal", "evidence-record", "evidence-manifest",
    "opening", "proof", "disclosures", "court", "certificate", "crl", "ocsp", "kind", "anchor", "renewal",
    "renewal-manifest",
]  # fmt: skip
_TAIL = r"(?P<tail>(?:[0-9a-f]{32}-)?(?:[0-9]{4}|[1-9][0-9]{4,8}))"
_ANY_TAIL = rf"(?:{_TAIL}|(?P<court>court))"
_RENEWAL_TAIL = r"(?P<tail>renewal-(?!0000)[0-9]{4})"
_NAME = r"(?P<name>[A-Za-z0-9][A-Za-z0-9._@-]{0,127})"
_DIGEST = r"(?P<name>[0-9a-f]{64})"
_PATTERNS: Final[list[tuple[Role, re.Pattern[str]]]] = [
    ("event", re.compile(rf"event-{_TAIL}\.json")),
    ("beside", re.compile(rf"event-{_TAIL}/{_NAME}")),
    ("manifest", re.compile(rf"META-INF/ASiCManifest-{_ANY_TAIL}\.xml")),
    ("seal", re.compile(rf"META-INF/signature-{_ANY_TAIL}\.p7s")),
    ("evidence-record", re.compile(rf"META-INF/evidencerecord-{_TAIL}\.ers")),
    ("evidence-manifest", re.compile(rf"META-INF/ASiCEvidenceRecordManifest-{_TAIL}\.xml")),
    ("renewal", re.compile(rf"META-INF/evidencerecord-{_RENEWAL_TAIL}\.ers")),
    ("renewal-manifest", re.compile(rf"META-INF/ASiCEvidenceRecordManifest-{_RENEWAL_TAIL}\.xml")),
    ("opening", re.compile(rf"META-INF/opening-{_ANY_TAIL}\.json")),
    ("proof", re.compile(rf"META-INF/proof-{_ANY_TAIL}\.tlog-proof")),
    ("disclosures", re.compile(rf"META-INF/disclosures-{_TAIL}\.json")),
    ("court", re.compile(rf"court/{_NAME}")),
    ("certificate", re.compile(rf"META-INF/certificate-{_DIGEST}\.cer")),
    ("crl", re.compile(rf"META-INF/list-{_DIGEST}\.crl")),
    ("ocsp", re.compile(rf"META-INF/answer-{_DIGEST}\.ors")),
    ("kind", re.compile(rf"META-INF/kind-{_DIGEST}\.toml")),
    ("anchor", re.compile(r"META-INF/anchor-(?P<name>[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?-[1-9][0-9]{0,18})\.json")),
]
_FIXED: Final[dict[str, Role]] = {MIMETYPE: "mimetype", LETTER: "letter", PAGE: "page"}


class EventNames(NamedTuple):
    """The entries of one event, or of the court package."""

    event: str
    """The event itself, canonical JSON."""
    beside: str
    """Folder of what travels beside it, with its slash."""
    manifest: str
    """The ASiCManifest (EN 319 162-1, annex A.4) that names the event and what is beside it."""
    seal: str
    """The CAdES signature over the manifest."""
    evidence_record: str
    """The evidence record (RFC 4998) that stamps the seal, where no time-stamp is inside it: EN 319 162-1, clause
    4.4.4.2, item 4."""
    evidence_manifest: str
    """The ASiCEvidenceRecordManifest, which says what that record is over."""
    opening: str
    """The event's record with its salt."""
    proof: str
    """Log proof of that record, C2SP .tlog-proof."""
    disclosures: str
    """Disclosures (RFC 9901) of its hidden fields."""


class Entry(NamedTuple):
    """What an entry's name says that it is."""

    role: Role
    tail: str = ""
    """Of which event: its number, with the letter's id before it where that was split off; or `court`; or of which
    renewal."""
    name: str = ""
    """Of what stands beside an event or in the court package: its own name. Of certificates, lists, answers
    and kinds: SHA-256. Of an anchor: its ledger and the size of the head."""


def event_tail(number: int, split_off: str | None = None) -> str:
    """What the names of an event's entries have in common."""
    return f"{number:04d}" if split_off is None else f"{split_off}-{number:04d}"


def event_names(number: int, split_off: str | None = None) -> EventNames:
    """The entries of a letter's event. `split_off`: the letter's id where it was split off from another one, which
    tells its events from those of its parents; None for every other letter."""
    return names_of(event_tail(number, split_off))


def names_of(tail: str) -> EventNames:
    """The entries with this tail."""
    return EventNames(
        f"event-{tail}.json",
        f"event-{tail}/" if tail != COURT else f"{COURT}/",
        f"{META}ASiCManifest-{tail}.xml",
        seal_name(tail),
        f"{META}evidencerecord-{tail}.ers",
        f"{META}ASiCEvidenceRecordManifest-{tail}.xml",
        f"{META}opening-{tail}.json",
        f"{META}proof-{tail}.tlog-proof",
        f"{META}disclosures-{tail}.json",
    )


def seal_name(tail: str) -> str:
    return f"{META}signature-{tail}.p7s"


def read_name(name: str) -> Entry | None:
    """What an entry is by its name; None for a name that no evidence file has."""
    fixed = _FIXED.get(name)
    if fixed is not None:
        return Entry(fixed)
    for role, pattern in _PATTERNS:
        found = pattern.fullmatch(name)
        if found is not None:
            groups = found.groupdict()
            return Entry(role, groups.get("tail") or groups.get("court") or "", groups.get("name") or "")
    return None


class RenewalNames(NamedTuple):
    """The entries of one record over the file as it was."""

    record: str
    """The evidence record (RFC 4998), of a group: every entry that its manifest names."""
    manifest: str
    """The ASiCEvidenceRecordManifest (EN 319 162-1, clause 4.4.3.2, item 4), which names them."""


def renewal_names(number: int) -> RenewalNames:
    """The entries of a file's renewal, counted from 1."""
    tail = f"{RENEWAL}-{number:04d}"
    return RenewalNames(f"{META}evidencerecord-{tail}.ers", f"{META}ASiCEvidenceRecordManifest-{tail}.xml")


def certificate_name(digest: str) -> str:
    return f"{META}certificate-{digest}.cer"


def list_name(digest: str) -> str:
    return f"{META}list-{digest}.crl"


def answer_name(digest: str) -> str:
    return f"{META}answer-{digest}.ors"


def anchor_name(ledger: str, size: int) -> str:
    """Of an anchor: its ledger, and how many leaves the anchored head has."""
    return f"{ANCHOR}{ledger}-{size}.json"


def kind_name(digest: str) -> str:
    return f"{META}kind-{digest}.toml"
