"""What a step left behind, for people: every fact with a label and its value as the reader's language writes it.

The keymaster's facts are JSON with members of its own. They stand in the record and in the bundle as they are; here
they are only shown, and nothing of them is left out: a member that has no label yet is shown by its name. The words
are those of the printed transcript (appliance.ceremonies.outcome_texts).
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

from appliance.ceremonies.explain_texts import Pair
from appliance.ceremonies.outcome_texts import EMPTY, LABELS, LIMITS, MICROSECONDS, VALUES, WORDS
from mgmt_service.languages import chosen_language

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
_COUNTS: Final = LIMITS | {"records", "not_read", "threshold"}
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{8,}")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_CODES: Final = frozenset({"still_to_do", "verifier", "verifier_key", "scheme", "log", "kind"})
_SECONDS: Final = frozenset({"until"})


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
    return _said(LABELS[name]) if name in LABELS else name


def _said(pair: Pair) -> str:
    return pair[0] if chosen_language() == "en" else pair[1]


def _outcome(name: str, value: Any) -> Outcome:
    label = _label(name)
    match value:
        case Mapping():
            return Outcome(label, "" if value else _said(WORDS["none"]), parts=tuple(outcomes(value)))
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
            return Outcome(label, _joined([text for text, _kind in told]) or _said(EMPTY.get(name, WORDS["none"])))
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
            return _said(WORDS["no limit" if name in LIMITS else "no end set" if name == "until" else "none"]), "text"
        case bool():
            return _said(WORDS["yes" if value else "no"]), "text"
        case int() if name in MICROSECONDS:
            return _instant(value // 1_000_000), "time"
        case int() if name in _SECONDS:
            return (_instant(value), "time") if value else (_said(WORDS["none"]), "text")
        case int() if name in _COUNTS:
            return str(format_decimal(value)), "text"
        case int() | float():
            return str(value), "text"
    if (name, value) in VALUES:
        return _said(VALUES[name, value]), "text"
    if _INSTANT.fullmatch(value):
        return value, "time"
    if name in _CODES or value.startswith("CKA_"):
        return value, "code"
    return value, "hex" if _HEXADECIMAL.fullmatch(value) else "text"


def _instant(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def install(app: Flask) -> None:
    app.jinja_env.filters.update(outcomes=outcomes)
