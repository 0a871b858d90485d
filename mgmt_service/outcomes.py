"""What a step left behind, for people: every fact with a label and its value as the reader's language writes it.

The keymaster's facts are JSON with members of its own. They stand in the record and in the bundle as they are; here
they are only shown, and nothing of them is left out: a member that has no label yet is shown by its name.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import Flask
from flask_babel import format_decimal
from flask_babel import lazy_gettext as _

from mgmt_service import words

LABELS: Final = {
    "affected": _("What it signed since then"),
    "always_sensitive": words.ATTRIBUTES["always_sensitive"][0],
    "application": _("Application"),
    "applications": _("Applications that may use it"),
    "attributes": _("Attributes in the token"),
    "authority": _("Authority"),
    "backup": _("Backup file, SHA-256"),
    "because": _("Because"),
    "bundle": _("Update file, SHA-256"),
    "certificate": _("Certificate"),
    "constitution": _("Constitution, SHA-256"),
    "copyable": words.ATTRIBUTES["copyable"][0],
    "crl": _("Number of the revocation list that tells of it"),
    "custodians": _("Custodians"),
    "details": _("What changed"),
    "digest": _("SHA-256"),
    "ends": _("The old key ends"),
    "enrolment": _("Number of the enrolment"),
    "extractable": words.ATTRIBUTES["extractable"][0],
    "false": _("Not set"),
    "finding": _("What was found"),
    "fingerprint": _("SHA-256"),
    "first_index": _("First entry in the log"),
    "found": _("It was still in the token"),
    "from_box": _("Made by box"),
    "from_size": _("From this size of the log"),
    "from_time": _("From"),
    "handed_out": _("Handed over"),
    "id": _("Key id in the token"),
    "index": _("Share"),
    "issuer": _("Issued by"),
    "key": _("Key"),
    "keys": _("Keys"),
    "kind": _("Kind of object"),
    "label": _("Label"),
    "last_index": _("Last entry in the log"),
    "not_read": _("Records that could not be read"),
    "lint": _("Checked by the rules for certificates"),
    "local": words.ATTRIBUTES["made_here"][0],
    "log": _("Log"),
    "modifiable": words.ATTRIBUTES["modifiable"][0],
    "name": _("Name"),
    "never_extractable": words.ATTRIBUTES["never_extractable"][0],
    "not_after": _("In force until"),
    "not_before": _("In force from"),
    "permissions": _("Permissions"),
    "person": _("Person"),
    "policies": _("Time-stamp policies"),
    "policy": _("Policy"),
    "profile": _("Profile"),
    "proven": _("Shown to work"),
    "public": _("Open to the network"),
    "public_key": _("Public key, SHA-256"),
    "purpose": _("Used for"),
    "query": _("Search that lists them"),
    "reason": _("Reason"),
    "records": _("Records"),
    "rehearsed": _("Signed first by a throwaway key"),
    "request": _("Request, SHA-256"),
    "revoked": _("Certificates that were revoked"),
    "role": _("Issues"),
    "scheme": _("Scheme"),
    "seal_key": _("Seals as"),
    "sensitive": words.ATTRIBUTES["sensitive"][0],
    "serial": _("Serial number"),
    "settled": _("Objects that nobody explained, put right"),
    "share_set": _("Set of shares"),
    "signature_limit": _("Signatures, at most"),
    "signatures": _("Seals a day"),
    "since": _("Since"),
    "stamps": _("Time-stamps a day"),
    "state": _("State now"),
    "storage_bytes": _("Bytes stored a day"),
    "subject": _("Subject"),
    "successor": _("Successor"),
    "tenant": _("Tenant"),
    "threshold": _("Shares that are needed"),
    "to_be_signed": _("Signed content, SHA-256"),
    "token": _("Token"),
    "true": _("Set"),
    "trust_bundle": _("Version of the trust bundle"),
    "unit": _("Time-stamping unit"),
    "until": _("Until"),
    "verifier": _("Key that checks the log"),
    "verifier_key": _("Key that checks the log"),
    "version": _("Version"),
    "what": _("What was wrong"),
    "wrap_with_trusted": words.ATTRIBUTES["wrap_with_trusted"][0],
}
"""Member of a step's facts to its label; the tests hold it to what the templates' golden runs leave."""

CERTIFICATE: Final = ("subject", "serial", "issuer", "not_before", "not_after", "certificate", "to_be_signed")
"""Members that tell of one certificate, in the order in which people ask for them."""
_FIRST: Final = (
    "key",
    "successor",
    "tenant",
    "application",
    "name",
    "token",
    "state",
    "purpose",
    "scheme",
    "id",
    "version",
)
"""Members that say what the fact is about; what has parts comes last."""
_LIMITS: Final = frozenset({"signature_limit", "signatures", "stamps", "storage_bytes"})
_COUNTS: Final = _LIMITS | {"records", "not_read", "threshold"}
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{8,}")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_CODES: Final = frozenset({"verifier", "verifier_key", "scheme", "log", "kind"})
_MICROSECONDS: Final = frozenset({"from_time"})
_SECONDS: Final = frozenset({"until"})

STATES: Final = {
    "locked": _("Locked"),
    "unlocked": _("Unlocked"),
    "stopping": _("Stopping"),
    "held": _("On hold"),
    "released": _("In force"),
    "revoked": _("Revoked"),
    **{name: text for name, (text, _tone) in words.KEY_STATES.items()},
}
VALUES: Final[Mapping[tuple[str, str], Any]] = {
    ("lint", "passed"): _("yes: nothing was wrong"),
    ("proven", "restored in a throwaway token from the shares as handed out"): _(
        "restored in a throwaway token from the shares as handed out"
    ),
    ("handed_out", "console"): _("at the console"),
    ("handed_out", "card"): _("encrypted to the custodian’s card"),
    ("role", "tsa"): _("certificates of time-stamping units"),
    ("role", "seal"): _("certificates of seal keys"),
    ("role", "tls"): _("certificates of applications and servers"),
    ("reason", "unspecified"): _("no reason given"),
    ("reason", "key-compromise"): _("the key is compromised"),
    ("reason", "affiliation-changed"): _("the holder’s affiliation changed"),
    ("reason", "superseded"): _("another certificate takes its place"),
    ("reason", "cessation-of-operation"): _("it is no longer needed"),
    ("what", "new"): _("an object that nobody made by ceremony"),
    ("what", "missing"): _("an object is gone"),
    ("what", "changed"): _("an object was changed"),
    ("what", "key-differs"): _("the private half belongs to another key"),
}
_EMPTY: Final = {
    "applications": _("every one with the permission"),
    "settled": _("none"),
    "permissions": _("none: it may do nothing"),
}


@dataclass(frozen=True)
class Outcome:
    """One fact. `kind`: text, hex, code or time, which is how `value` is set; `parts`: what stands below it."""

    label: str
    value: str
    kind: str = "text"
    parts: tuple[Outcome, ...] = ()


def outcomes(facts: Mapping[str, Any]) -> list[Outcome]:
    """Every fact of a step: what it is about first; those of a certificate together, under subject and serial."""
    told: list[Outcome] = []
    whole = {"certificate", "subject", "serial"} <= facts.keys()
    for name in sorted(facts, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST)):
        if whole and name in CERTIFICATE:
            if name == "certificate":
                told.append(_certificate(facts))
            continue
        told.append(_outcome(name, facts[name]))
    return sorted(told, key=lambda one: bool(one.parts))


def _certificate(facts: Mapping[str, Any]) -> Outcome:
    value = _("%(subject)s, serial number %(serial)s", subject=str(facts["subject"]), serial=str(facts["serial"]))
    below = [name for name in CERTIFICATE if name in facts and name not in {"subject", "serial"}]
    parts = [_outcome(name, facts[name]) for name in below]
    at = below.index("certificate")
    parts[at] = replace(parts[at], label=str(_("Certificate, SHA-256")))
    return Outcome(_label("certificate"), str(value), parts=tuple(parts))


def _label(name: str) -> str:
    return str(LABELS.get(name, name))


def _outcome(name: str, value: Any) -> Outcome:
    label = _label(name)
    match value:
        case Mapping():
            return Outcome(label, "" if value else str(_("none")), parts=tuple(outcomes(value)))
        case str() | bool() | int() | float() | None:
            text, kind = _plain(name, value)
            return Outcome(label, text, kind)
        case Sequence() if any(isinstance(one, Mapping) for one in value):
            parts = tuple(_item(label, number, one) for number, one in enumerate(value, 1))
            return Outcome(label, "", parts=parts)
        case Sequence():
            told = [_plain(name, one) for one in value]
            if any(kind in {"hex", "time"} for _text, kind in told):
                return Outcome(label, "", parts=tuple(Outcome("", text, kind) for text, kind in told))
            return Outcome(label, _joined([text for text, _kind in told]) or str(_EMPTY.get(name, _("none"))))
    return Outcome(label, str(value))


def _item(label: str, number: int, one: Any) -> Outcome:
    """One of a list of things: called by its name, or by who holds it, else by its number."""
    if not isinstance(one, Mapping):
        return Outcome("", *_plain("", one))
    for name in ("name", "person", "label"):
        if isinstance(one.get(name), str):
            rest = {member: value for member, value in one.items() if member != name}
            return Outcome(str(one[name]), "", parts=tuple(outcomes(rest)))
    return Outcome(f"{label} {number}", "", parts=tuple(outcomes(one)))


def _joined(texts: list[str]) -> str:
    return str(_(", ")).join(texts)


def _plain(name: str, value: str | bool | int | float | None) -> tuple[str, str]:
    """The text of a value without parts, and how it is set."""
    match value:
        case None:
            return str(_("no limit") if name in _LIMITS else _("no end set") if name == "until" else _("none")), "text"
        case bool():
            return str(_("yes") if value else _("no")), "text"
        case int() if name in _MICROSECONDS:
            return _instant(value // 1_000_000), "time"
        case int() if name in _SECONDS:
            return (_instant(value), "time") if value else (str(_("none")), "text")
        case int() if name in _COUNTS:
            return str(format_decimal(value)), "text"
        case int() | float():
            return str(value), "text"
    if (name, value) in VALUES:
        return str(VALUES[name, value]), "text"
    if name == "state":
        return str(STATES.get(value, value)), "text"
    if name == "purpose":
        return str(words.PURPOSES.get(value, value)), "text"
    if name == "permissions" and value == "*":
        return str(_("every seal key and unit of the tenant")), "text"
    if name == "log" and value == "@box":
        return str(_("the box")), "text"
    if _INSTANT.fullmatch(value):
        return value, "time"
    if name in _CODES or value.startswith("CKA_"):
        return value, "code"
    return value, "hex" if _HEXADECIMAL.fullmatch(value) else "text"


def _instant(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def install(app: Flask) -> None:
    app.jinja_env.filters.update(outcomes=outcomes)
