"""Form fields out of the members of an action: kinds, labels in both languages, suggestions from what the box has."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from flask_babel import gettext as _
from msgspec import inspect as shapes

from appliance.box.settings import BoxSettings
from appliance.ceremonies import Constitution
from appliance.ceremonies.explain_texts import LABELS, WORDS
from mgmt_service import log_forms
from mgmt_service.languages import chosen_language
from mgmt_service.log_forms import Standing
from mgmt_service.roles import OFFICERS, Viewer
from mgmt_service.wording import hint

SCHEMES: Final = (
    "ecdsa-p256-sha256",
    "ecdsa-p384-sha384",
    "rsa-pkcs1-sha256",
    "rsa-pss-sha256",
    "ed25519",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
)
INSTANT: Final = r"\A[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z\Z"
_INSTANTS: Final = (INSTANT, r"\A(?:[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z|)\Z")
_LONG: Final = frozenset({"reason", "because", "finding"})
_NEVER_EMPTY: Final = frozenset({"keys", "custodians", "chain"})
"""Lists that a schema takes empty, and whoever executes the action does not."""
_CERTIFICATES: Final = frozenset(
    {"chain", "certificate", "sign_certificates", "encrypt_certificate", "witness_authorities"}
)
DEFAULT_LIFE: Final = datetime.timedelta(days=730)


@dataclass(frozen=True)
class Field:
    """One input of a form."""

    path: str
    label: str
    kind: str
    """text, long, number, check, choice, picks, instant, list, certificates."""
    value: Any
    required: bool
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[str, ...] = ()
    pattern: str = ""
    least: int | None = None
    most: int | None = None
    error: str = ""
    row: str = ""
    """Legend of the row that it stands in, where a form has rows."""

    @property
    def identifier(self) -> str:
        return "f-" + self.path.replace(".", "-")


@dataclass(frozen=True)
class Known:
    """What the box has, for suggestions: of the viewer's scopes only (control CHANNEL)."""

    tenants: tuple[str, ...]
    owners: tuple[str, ...]
    """Tenants, and the empty text for the box itself, of which the viewer is an officer."""
    tokens: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    for_backup: tuple[str, ...] = ()
    """Keys that were made for backup, with whose they are."""
    standing: Standing = field(default_factory=Standing)
    """Witnesses, ends of algorithms and hashes of logs as they are."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """By path, from the last attempt."""


def known_to(viewer: Viewer, settings: BoxSettings, law: Constitution | None) -> Known:
    scopes = viewer.scopes(OFFICERS)
    tenants = sorted(scope.partition("/")[2] for scope in scopes if scope != "box")
    box = "box" in scopes
    units = [unit for unit in settings.units if unit.tenant in tenants]
    seals = [key for key in settings.seal_keys if key.tenant in tenants]
    tokens = [tenant.token for tenant in settings.tenants if tenant.name in tenants]
    keys = (
        [one.name for one in units]
        + [one.name for one in seals]
        + ([one.name for one in settings.authorities] if box else [])
    )
    rosters = law.scopes if law is not None else []
    return Known(
        tenants=tuple(tenant.name for tenant in settings.tenants) if box else tuple(tenants),
        owners=(*tenants, *([""] if box else [])),
        tokens=(*tokens, *(["box"] if box else [])),
        keys=tuple(keys),
        authorities=tuple(one.name for one in settings.authorities),
        people=tuple(sorted({one for scope in rosters if scope.name in scopes for one in scope.officers})),
        policies=tuple(sorted({policy for unit in units for policy in unit.accepted_policies})),
    )


def label(name: str) -> str:
    """A member's label in the reader's language."""
    if name in log_forms.LABELS:
        return str(log_forms.LABELS[name])
    pair = LABELS.get(name, (name.replace("_", " ").capitalize(), name))
    return pair[0] if chosen_language() == "en" else pair[1]


def fields_of(
    form: type[msgspec.Struct], prefix: str, known: Known, values: Mapping[str, Any], skip: Iterable[str] = ()
) -> list[Field]:
    """Inputs for the members of a structure but for those in `skip`. `values`: as last entered, or presets."""
    info = shapes.type_info(form)
    assert isinstance(info, shapes.StructType)  # noqa: S101 - actions are structures
    found: list[Field] = []
    for member in info.fields:
        if member.name in skip:
            continue
        value = values.get(member.encode_name)
        found += _fields(member.encode_name, f"{prefix}{member.encode_name}", member.type, value, member, known)
    return found


def _fields(name: str, path: str, kind: Any, value: Any, member: shapes.Field, known: Known) -> list[Field]:
    if isinstance(kind, shapes.StructType):
        inner = value if isinstance(value, Mapping) else {}
        return fields_of(kind.cls, f"{path}.", known, inner)
    if isinstance(kind, shapes.ListType) and isinstance(kind.item_type, shapes.StructType):
        rows = value if isinstance(value, list) else list(value.values()) if isinstance(value, Mapping) else []
        filled = [at for at, row in enumerate(rows) if any(str(entered).strip() for entered in row.values())]
        rows = rows[: filled[-1] + 1 if filled else 0]  # else each attempt leaves more empty ones at the end
        rows = [*rows, *({} for _ in range(max(1, (3 if member.required else 2) - len(rows))))]
        found: list[Field] = []
        for at, row in enumerate(rows):
            inputs = fields_of(kind.item_type.cls, f"{path}.{at}.", known, row)
            # A row in which nothing stands is left out; one is wanted.
            blank = (at > 0 or not member.required) and not any(str(entered).strip() for entered in row.values())
            legend = str(log_forms.ROWS[name]) % {"number": at + 1} if name in log_forms.ROWS else ""
            help_ = {one.path: one.help if at == 0 else "" for one in inputs}  # once is enough
            found += [
                replace(one, required=one.required and not blank, row=legend, help=help_[one.path]) for one in inputs
            ]
        return found
    optional = isinstance(kind, shapes.UnionType)
    if isinstance(kind, shapes.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, shapes.NoneType))
    return [_field(name, path, kind, value, member.required and not optional, known)]


def _field(name: str, path: str, kind: Any, value: Any, required: bool, known: Known) -> Field:
    made: dict[str, Any] = {"path": path, "label": label(name), "value": value, "required": required}
    made["error"] = known.errors.get(path, "")
    if name == "tenant":
        choices = tuple((one, one or _own()) for one in known.owners)
        return Field(**(made | {"kind": "choice", "choices": choices, "required": False}))
    match kind:
        case shapes.BoolType():
            return Field(**(made | {"kind": "check", "required": False}))
        case shapes.IntType():
            return Field(**made, kind="number", least=kind.ge, most=kind.le, help=_help(name))
        case shapes.LiteralType():
            gone = known.standing.hashes if name == "hash" else frozenset()
            choices = tuple((str(v), _choice(str(v))) for v in kind.values if v not in gone)
            return Field(**made, kind="choice", choices=choices, help=_help(name))
        case shapes.ListType() if name in {"asked", "revoked"}:
            return Field(
                **(made | {"required": False}), kind="picks", choices=_picks(name, known), help=_help(name, known)
            )
        case shapes.ListType():
            made["required"] = required and (bool(kind.min_length) or name in _NEVER_EMPTY)
            help_ = _("Separate them by spaces or lines.")
            if name in _CERTIFICATES:
                help_ = _help(name) or _("PEM, the key’s own certificate first.")
                shown = "\n".join(map(str, value)) if isinstance(value, list) else value
                return Field(**(made | {"value": shown}), kind="certificates", help=help_)
            if name == "permissions":
                help_ += " " + _("party-ID: it acts for the party with this id; party-*: for every party.")
            shown = "\n".join(map(str, value)) if isinstance(value, list) else value
            return Field(**(made | {"value": shown}), kind="list", help=help_, suggestions=_suggest(name, known))
        case _:
            return _text(name, kind, made, known)


def _text(name: str, kind: Any, made: dict[str, Any], known: Known) -> Field:
    pattern = getattr(kind, "pattern", None) or ""
    if name == "scheme":
        return Field(**made, kind="choice", choices=tuple((one, one) for one in SCHEMES))
    if pattern in _INSTANTS:
        life = (datetime.datetime.now(datetime.UTC) + DEFAULT_LIFE).strftime("%Y-%m-%dT00:00")
        value = str(made["value"] or (life if made["required"] else "")).removesuffix("Z")
        value = value[:16] if value[16:] == ":00" else value  # seconds are shown where they say something
        return Field(**(made | {"value": value}), kind="instant", help=_("UTC"))
    if name in _CERTIFICATES and "A-Za-z0-9+/" in pattern:
        return Field(**made, kind="certificates", help=_("PEM"))
    if name == "file":
        return Field(**made, kind="long", help=_("The whole file, as cinnabar kind check has taken it."))
    if name == "adapter":
        return Field(**made, kind="long", help=_("The whole file (docs/filing.md)."))
    if name == "terms":
        return Field(**made, kind="long", help=_("The whole file, as cinnabar limits check has taken it."))
    if name == "image":
        return Field(**made, kind="long", help=_("A PNG in base64."))
    if name in _LONG:
        return Field(**made, kind="long")
    if pattern and re.fullmatch(pattern, "") and not kind.min_length:
        made["required"] = False  # as of an amount without end
    plain = pattern.removeprefix(r"\A").removesuffix(r"\Z")
    help_ = _help(name) or hint(pattern)
    return Field(**made, kind="text", pattern=plain, help=help_, suggestions=_suggest(name, known))


def _suggest(name: str, known: Known) -> tuple[str, ...]:
    return {
        "token": known.tokens,
        "key": known.keys,
        "keys": known.for_backup,
        "authority": known.authorities,
        "custodians": known.people,
        "approvers": known.people,
        "answer_key": known.keys,
        "policies": known.policies,
        "name": known.tenants,
        "permissions": known.keys,
    }.get(name, ())


def _help(name: str, known: Known | None = None) -> str:
    text = str(log_forms.HELP.get(name, ""))
    return text if known is None else text % {"owner": known.standing.owner or _own()}


def _own() -> str:
    """The box, where an owner is meant."""
    words = WORDS["box"]
    return words[0] if chosen_language() == "en" else words[1]


def _picks(name: str, known: Known) -> tuple[tuple[str, str], ...]:
    """What can be ticked, each with its text."""
    if name == "revoked":
        return tuple((key, key.rpartition("+")[0]) for key in known.standing.revocable)
    return tuple((one.entry, f"{one.name} · {one.url}") for one in known.standing.witnesses)


def _choice(value: str) -> str:
    if value in log_forms.ALGORITHMS:
        return log_forms.ALGORITHMS[value]
    pair = WORDS.get(value) or LABELS.get(value)
    if pair is None:
        return value
    return pair[0] if chosen_language() == "en" else pair[1]
