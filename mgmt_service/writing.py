"""From a filled-in form to the actions of a proposal: shared fields put into their steps, PEM read, officers chosen."""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect as shapes

from appliance.ceremonies import Constitution, encode, instant_text, tenant_scope
from appliance.ceremonies.constitution import Credential, Person, Recovery, Scope
from mgmt_service import forms
from mgmt_service.log_forms import SHAPES
from mgmt_service.problems import Malformed
from mgmt_service.scripts import Script

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_FILES = ("file", "terms", "adapter")
"""Members that are whole files, taken as they are."""
_MINUTES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(:[0-9]{2})?")


def actions_of(script: Script, shared: Mapping[str, Any], entered: Sequence[Mapping[str, Any]]) -> list[msgspec.Struct]:
    """The actions of a template as entered. Raises Malformed, with the path of the field."""
    made: list[msgspec.Struct] = []
    for at, step in enumerate(script.steps):
        given = dict(entered[at]) if at < len(entered) else {}
        given |= {member: shared.get(name, "") for member, name in step.shared.items()}
        given |= {name: value for name, value in step.fixed.items() if value not in (False, [])}
        shape = SHAPES.get(step.action)
        try:
            if shape is not None and shape.given(given):
                given.pop("action", None)
                action = shape.action(forms.convert(_prepared(shape.form, given), shape.form))
                made.append(forms.convert(msgspec.to_builtins(action), step.action))
            else:
                made.append(forms.convert(_prepared(step.action, given), step.action))
        except forms.FieldError as error:
            member = error.path.partition(".")[0]
            path = f"shared.{step.shared[member]}" if member in step.shared else f"actions.{at}.{error.path}"
            raise forms.FieldError(str(error), _as_entered(path, entered[at] if at < len(entered) else {})) from None
    return made


def _instant(value: Any) -> Any:
    """A time as a browser gives it, in the form of actions; anything else as it is."""
    found = _MINUTES.fullmatch(value.strip()) if isinstance(value, str) else None
    return value if found is None else f"{found[1]}{found[2] or ':00'}Z"


def _rows(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []


def _written(row: Any) -> bool:
    return isinstance(row, Mapping) and any(str(entered).strip() for entered in row.values())


def _as_entered(path: str, given: Mapping[str, Any]) -> str:
    """A path into rows of which empty ones were left out, as the form has it."""
    parts = path.split(".")
    if parts[0] != "actions" or len(parts) < 4 or not parts[3].isdigit():
        return path
    kept = [str(place) for place, row in enumerate(_rows(given.get(parts[2]))) if _written(row)]
    at = int(parts[3])
    return ".".join([*parts[:3], kept[at] if at < len(kept) else parts[3], *parts[4:]])


def _prepared(action: type[msgspec.Struct], given: dict[str, Any]) -> dict[str, Any]:
    info = shapes.type_info(action)
    assert isinstance(info, shapes.StructType)  # noqa: S101 - actions are structures
    for member in info.fields:
        value = given.get(member.encode_name)
        if isinstance(value, str) and _MINUTES.fullmatch(value.strip()):
            given[member.encode_name] = _instant(value)
        elif isinstance(value, str) and "BEGIN CERTIFICATE" in value and member.encode_name not in _FILES:
            found = ["".join(one.split()) for one in _PEM.findall(value)]
            given[member.encode_name] = found if isinstance(member.type, shapes.ListType) else "".join(found[:1])
        elif isinstance(member.type, shapes.ListType) and isinstance(member.type.item_type, shapes.StructType):
            rows = [row for row in _rows(value) if _written(row)]
            given[member.encode_name] = [{name: _instant(text) for name, text in row.items()} for row in rows]
        if member.encode_name == "tenant" and value in ("", None):
            given["tenant"] = None
    prepared = forms.coerce(info, given)
    if not isinstance(prepared, dict):
        raise Malformed("an action is a structure")
    if given.get("tenant", "") is None:
        prepared["tenant"] = None
    for name in _FILES:
        if isinstance(given.get(name), str):  # a file has a digest: blanks at its ends stay
            prepared[name] = given[name].replace("\r\n", "\n")
    config = action.__struct_config__
    return prepared | ({} if config.tag_field is None else {config.tag_field: config.tag})


class ScopeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scope of a new constitution as entered."""

    name: str
    officers: list[str]
    threshold: int
    recovery: list[str] = []
    recovery_threshold: int | None = None
    waiting_hours: int | None = None


class OfficersForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of officers. `credentials`: ids of confirmed candidates whose new passkey takes the place of the
    person's credentials."""

    scopes: list[ScopeForm]
    credentials: list[str] = []
    recovery: bool = False


def amended(
    law: Constitution, form: OfficersForm, candidates: Sequence[Mapping[str, Any]], now: datetime.datetime
) -> Constitution:
    """The next constitution as entered; scopes that the form does not name stay. Raises Malformed."""
    by_person = {str(one["person"]): one for one in candidates if one["state"] == "confirmed"}
    chosen = {scope.name: scope for scope in form.scopes}
    scopes = [_scope(chosen[one.name]) if one.name in chosen else one for one in law.scopes]
    scopes += [_scope(one) for name, one in chosen.items() if law.scope(name) is None]
    serving = {
        person for scope in scopes for person in (*scope.officers, *(scope.recovery.officers if scope.recovery else ()))
    }
    persons = []
    for identifier in sorted(serving):
        known, candidate = law.person(identifier), by_person.get(identifier)
        if known is None and candidate is None:
            raise Malformed(f"{identifier} is neither an officer nor a confirmed candidate")
        if candidate is not None and (known is None or str(candidate["id"]) in form.credentials):
            credential = msgspec.convert(candidate["credential"], Credential)
            name = known.name if known is not None else str(candidate["name"])
            persons.append(Person(id=identifier, name=name, credentials=[credential]))
        elif known is not None:
            persons.append(known)
    return msgspec.structs.replace(
        law,
        version=law.version + 1,
        previous=law.digest,
        issued=instant_text(now),
        persons=persons,
        scopes=sorted(scopes, key=lambda scope: scope.name),
    )


def _scope(form: ScopeForm) -> Scope:
    recovery = None
    if form.recovery:
        recovery = Recovery(
            officers=form.recovery,
            threshold=form.recovery_threshold or 2,
            waiting_hours=form.waiting_hours or 72,
        )
    return forms.convert(
        msgspec.to_builtins(Scope(name=form.name, officers=form.officers, threshold=form.threshold, recovery=recovery)),
        Scope,
    )


def packed(actions: Sequence[msgspec.Struct]) -> bytes:
    """The actions as the desk takes them."""
    return msgspec.json.encode(list(actions))


def carried(proposal: bytes) -> str:
    """A proposal's canonical bytes in a form field."""
    return base64.b64encode(proposal).decode()


def brought(text: str) -> bytes:
    """The bytes from a form field. Raises Malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("the proposal did not come back as it was") from None


__all__ = [
    "OfficersForm",
    "ScopeForm",
    "actions_of",
    "amended",
    "brought",
    "carried",
    "encode",
    "packed",
    "tenant_scope",
]
