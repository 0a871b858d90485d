"""What a proposal would change, against the box as it is now: before and after, member by member. Pure.

It is a help for the reader. What counts is what the keymaster finds when it executes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from appliance.box.settings import BoxSettings, SealKeySettings, UnitSettings
from appliance.ceremonies import Constitution, actions
from appliance.evidence.bundle import BundleDocument
from appliance.tree_hash import RENEWED_HASHES, renewed_origin
from mgmt_service.log_forms import use_of


class Change(msgspec.Struct, frozen=True):
    """`before` and `after`: empty where there is nothing."""

    what: str
    """A name that the page has a word for."""
    name: str
    before: str
    after: str


class Now(msgspec.Struct, frozen=True):
    """The box as the service sees it."""

    settings: BoxSettings
    law: Constitution | None
    trust: BundleDocument | None = None
    """What verifiers were told last."""


def changes_of(action: Any, now: Now) -> list[Change]:
    """The changes of one action."""
    rule = _RULES.get(type(action))
    return rule(action, now) if rule is not None else []


def _in_use(settings: BoxSettings, name: str) -> UnitSettings | SealKeySettings | None:
    known: list[UnitSettings | SealKeySettings] = [*settings.units, *settings.seal_keys]
    return next((one for one in known if one.name == name), None)


def _use(settings: BoxSettings, name: str) -> str:
    found = _in_use(settings, name)
    if found is None:
        return "authority" if any(one.name == name for one in settings.authorities) else ""
    return ("unit" if isinstance(found, UnitSettings) else "seal-key") + f", {found.scheme}"


def _generate(action: actions.GenerateKey, now: Now) -> list[Change]:
    after = f"{action.scheme}, {action.purpose}, until {action.until}"
    return [Change("key", action.key, _use(now.settings, action.key), after)]


def _activate(action: actions.ActivateKey, now: Now) -> list[Change]:
    return [Change("in-use", action.key, _use(now.settings, action.key), "signs")]


def _rotate(action: actions.RotateKey, now: Now) -> list[Change]:
    hours = f"{action.overlap_hours} h"
    return [
        Change("in-use", action.successor, _use(now.settings, action.successor), "signs"),
        Change("in-use", action.key, _use(now.settings, action.key), f"stops after {hours}"),
    ]


def _stop(action: Any, now: Now) -> list[Change]:
    return [Change("in-use", action.key, _use(now.settings, action.key) or "signs", "stopped")]


def _create_tenant(action: actions.CreateTenant, now: Now) -> list[Change]:
    there = [one.name for one in now.settings.tenants]
    made = [Change("tenants", "", ", ".join(there), ", ".join([*there, action.name]))]
    tokens = [one.name for one in now.settings.tokens]
    if action.token not in tokens:
        made.append(Change("tokens", "", ", ".join(tokens), ", ".join([*tokens, action.token])))
    return made


def _rename_tenant(action: actions.RenameTenant, now: Now) -> list[Change]:
    before = next((one.organisation for one in now.settings.tenants if one.name == action.name), None)
    return [Change("registered-name", action.name, before or "", action.title)]


def _standby(action: actions.SetStandby | actions.EndStandby, now: Now) -> list[Change]:
    names = {one.uri: one.name for one in now.settings.tokens}
    before = {one.name: names.get(one.standby_uri or "", "") for one in now.settings.tokens}
    after = action.standby if isinstance(action, actions.SetStandby) else ""
    return [Change("standby", action.token, before.get(action.token, ""), after)]


def _create_authority(action: actions.CreateAuthority, now: Now) -> list[Change]:
    there = [one.name for one in now.settings.authorities]
    return [Change("authorities", "", ", ".join(there), ", ".join([*there, action.key]))]


def _amend(action: actions.AmendConstitution, now: Now) -> list[Change]:
    law, new = now.law, action.constitution
    if law is None:
        return []
    found = [Change("version", "", str(law.version), str(new.version))]
    for scope in new.scopes:
        old = law.scope(scope.name)
        before = ", ".join(old.officers) if old is not None else ""
        if before != ", ".join(scope.officers):
            found.append(Change("officers", scope.name, before, ", ".join(scope.officers)))
        if old is None or old.threshold != scope.threshold:
            found.append(
                Change("threshold", scope.name, str(old.threshold) if old is not None else "", str(scope.threshold))
            )
        before = ", ".join(old.recovery.officers) if old is not None and old.recovery else ""
        after = ", ".join(scope.recovery.officers) if scope.recovery else ""
        if before != after:
            found.append(Change("recovery", scope.name, before, after))
    for person in new.persons:
        known = law.person(person.id)
        old_ids = [one.id[:16] for one in known.credentials] if known is not None else []
        new_ids = [one.id[:16] for one in person.credentials]
        if known is not None and old_ids != new_ids:
            found.append(Change("credentials", person.id, ", ".join(old_ids), ", ".join(new_ids)))
    return found


def _witnesses(action: actions.SetWitnesses, now: Now) -> list[Change]:
    log = next((one for one in now.settings.logs if one.tenant == action.tenant), None)
    if log is None:
        return []
    owner = action.tenant or "box"
    after = [text.partition("+")[0] for text in action.witnesses]
    quorum = str(log.witness_quorum) if log.witnesses else ""
    return [
        Change("witnesses", owner, ", ".join(log.witnesses), ", ".join(after)),
        Change("cosignatures", owner, quorum, str(action.needed) if after else ""),
    ]


def _ends(action: actions.SetAlgorithmEnds, now: Now) -> list[Change]:
    told = [] if now.trust is None or now.trust.algorithms is msgspec.UNSET else now.trust.algorithms
    before = {use_of(one.algorithm, one.below_bits): one.until for one in told}
    after = {}
    for text in action.algorithms:
        use, _, until = text.partition("=")
        algorithm, _, bits = use.partition("<")
        after[use_of(algorithm, int(bits) if bits else None)] = until
    return [
        Change("algorithm-end", use, before.get(use, ""), after.get(use, ""))
        for use in sorted({*before, *after})
        if before.get(use) != after.get(use)
    ]


def _renew(action: actions.RenewLogs, now: Now) -> list[Change]:
    hashing = RENEWED_HASHES[action.hash]
    return [
        Change("log", log.tenant or "box", log.origin, renewed_origin(log.origin, hashing)) for log in now.settings.logs
    ]


_RULES: Final[dict[type, Callable[[Any, Now], list[Change]]]] = {
    actions.GenerateKey: _generate,
    actions.ActivateKey: _activate,
    actions.RotateKey: _rotate,
    actions.SuspendKey: _stop,
    actions.DeactivateKey: _stop,
    actions.CreateTenant: _create_tenant,
    actions.RenameTenant: _rename_tenant,
    actions.SetStandby: _standby,
    actions.EndStandby: _standby,
    actions.CreateAuthority: _create_authority,
    actions.AmendConstitution: _amend,
    actions.SetWitnesses: _witnesses,
    actions.SetAlgorithmEnds: _ends,
    actions.RenewLogs: _renew,
}
