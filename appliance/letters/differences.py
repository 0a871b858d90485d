"""What is different between two versions of a kind, in words: added, removed, tightened, loosened or changed.

A letter lives by the version under which it began. `running` says where letters under way therefore go on by the old
rule, other than new ones; what only beginnings look at is past for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from appliance.letters.errors import KindRefused
from appliance.letters.fields import parse_limit
from appliance.letters.kind import Approvals, Event, Field, Kind, Tier

Effect = Literal["added", "removed", "tightened", "loosened", "changed"]

EFFECTS: Final[Mapping[Effect, tuple[str, str]]] = {
    "added": ("added", "新增"),
    "removed": ("removed", "删除"),
    "tightened": ("tightened", "收紧"),
    "loosened": ("loosened", "放宽"),
    "changed": ("changed", "变更"),
}


class Difference(NamedTuple):
    """One difference, with its place in the file."""

    path: str
    effect: Effect
    running: bool
    """Letters under way keep the old rule here."""
    en: str
    zh: str

    def words(self, language: str = "en") -> str:
        """`tightened  fields.amount: ...` in "en" or "zh"."""
        place = 1 if language == "zh" else 0
        return f"{EFFECTS[self.effect][place]}  {self.path}: {(self.en, self.zh)[place]}"


def differences(old: Kind, new: Kind) -> list[Difference]:
    """Every difference that means something. Raises KindRefused for two different kinds, or a version that does not
    rise."""
    if old.id != new.id:
        raise KindRefused(f"{old.id} and {new.id} are different kinds")
    if new.version <= old.version:
        raise KindRefused(f"version: {new.version} does not follow {old.version}")
    found = [*_whole(old, new), *_states(old, new), *_fields(old, new), *_events(old, new), *_registers(old, new)]
    return sorted(found, key=lambda one: one.path)


def _shown(value: Any) -> str:  # any member of a kind
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, str | int):
        return str(value)
    return msgspec.json.encode(value).decode()


def _change(path: str, old: Any, new: Any, *, running: bool, effect: Effect = "changed") -> Iterator[Difference]:
    if old != new:
        said = f"{_shown(old)} -> {_shown(new)}"
        yield Difference(path, effect, running, said, said)


def _sets(
    path: str, old: Any, new: Any, more: Effect, fewer: Effect, *, running: bool, all_if_empty: bool = False
) -> Iterator[Difference]:
    """A list or table of names of which more, or fewer, are allowed now."""
    before, after = list(old), list(new)
    if all_if_empty and bool(before) != bool(after):
        effect: Effect = fewer if after else more
        yield from _change(path, before, after, running=running, effect=effect)
        return
    gone, come = [name for name in before if name not in after], [name for name in after if name not in before]
    if come:
        yield Difference(path, more, running, f"now also {', '.join(come)}", f"现增加 {', '.join(come)}")
    if gone:
        yield Difference(path, fewer, running, f"no longer {', '.join(gone)}", f"不再包括 {', '.join(gone)}")


def _whole(old: Kind, new: Kind) -> Iterator[Difference]:
    for member in ("title", "about"):
        yield from _change(member, getattr(old, member), getattr(new, member), running=False)
    for member in ("zone", "template", "languages"):
        yield from _change(member, getattr(old, member), getattr(new, member), running=True)
    if old.retention_years != new.retention_years:
        effect: Effect = "tightened" if new.retention_years > old.retention_years else "loosened"
        yield from _change("retention_years", old.retention_years, new.retention_years, running=True, effect=effect)
    yield from _change("value", old.value, new.value, running=True)
    yield from _sets("public", old.public, new.public, "loosened", "tightened", running=True)
    for member in ("second", "pair", "metered_by"):
        yield from _change(member, getattr(old, member), getattr(new, member), running=True)


def _states(old: Kind, new: Kind) -> Iterator[Difference]:
    for name in old.states.keys() | new.states.keys():
        path = f"states.{name}"
        if name not in new.states:
            yield Difference(path, "removed", True, old.states[name].title.en, old.states[name].title.zh)
            continue
        if name not in old.states:
            yield Difference(path, "added", False, new.states[name].title.en, new.states[name].title.zh)
            continue
        yield from _change(f"{path}.title", old.states[name].title, new.states[name].title, running=False)
        if old.states[name].final != new.states[name].final:
            now, open_ = ("final now", "现为终态"), ("no longer final", "不再是终态")
            final = new.states[name].final
            yield Difference(path, "tightened" if final else "loosened", True, *(now if final else open_))


def _fields(old: Kind, new: Kind) -> Iterator[Difference]:
    later = {name for kind in (old, new) for event in kind.events.values() if event.from_ for name in event.fields}
    for name in old.fields.keys() | new.fields.keys():
        path, running = f"fields.{name}", name in later
        if name not in new.fields:
            yield Difference(path, "removed", running, old.fields[name].label.en, old.fields[name].label.zh)
        elif name not in old.fields:
            yield from _added(path, new.fields[name], running=running)
        else:
            yield from _field(path, old.fields[name], new.fields[name], running=running)


def _added(path: str, field: Field, *, running: bool) -> Iterator[Difference]:
    need = ("required", "必填") if field.required else ("not required", "非必填")
    yield Difference(path, "added", running, f"{field.label.en} ({need[0]})", f"{field.label.zh}（{need[1]}）")


def _field(path: str, old: Field, new: Field, *, running: bool) -> Iterator[Difference]:
    for member in ("type", "confidentiality", "pattern"):
        yield from _change(f"{path}.{member}", getattr(old, member), getattr(new, member), running=running)
    for member in ("required", "identified"):
        if getattr(old, member) != getattr(new, member):
            effect: Effect = "tightened" if getattr(new, member) else "loosened"
            said = ("must be given", "须提供") if getattr(new, member) else ("need not be given", "可不提供")
            yield Difference(f"{path}.{member}", effect, running, *said)
    if old.longest != new.longest:
        effect = "tightened" if new.longest < old.longest else "loosened"
        yield from _change(f"{path}.longest", old.longest, new.longest, running=running, effect=effect)
    for member, sign in (("least", 1), ("most", -1)):
        before, after = getattr(old, member), getattr(new, member)
        if before != after:
            effect = _limit(old.type, before, after, sign)
            yield from _change(f"{path}.{member}", before, after, running=running, effect=effect)
    yield from _sets(
        f"{path}.currencies",
        old.currencies,
        new.currencies,
        "loosened",
        "tightened",
        running=running,
        all_if_empty=True,
    )
    yield from _sets(f"{path}.choices", old.choices, new.choices, "loosened", "tightened", running=running)
    for name in old.choices.keys() & new.choices.keys():
        yield from _change(f"{path}.choices.{name}", old.choices[name], new.choices[name], running=False)
    yield from _change(f"{path}.term", old.term, new.term, running=running)
    yield from _part(f"{path}.columns", old.columns, new.columns, running=running)
    yield from _change(f"{path}.label", old.label, new.label, running=False)


def _limit(type_: str, before: str | None, after: str | None, sign: int) -> Effect:
    if before is None or after is None:
        return "tightened" if before is None else "loosened"
    numbers = type_ in ("money", "integer", "decimal")  # dates and times: as they are written
    rose = float(after) > float(before) if numbers else after > before
    return "tightened" if rose == (sign > 0) else "loosened"


def _part(path: str, old: Mapping[str, Field], new: Mapping[str, Field], *, running: bool) -> Iterator[Difference]:
    for name in old.keys() | new.keys():
        where = f"{path}.{name}"
        if name not in new:
            yield Difference(where, "removed", running, old[name].label.en, old[name].label.zh)
        elif name not in old:
            yield from _added(where, new[name], running=running)
        else:
            yield from _field(where, old[name], new[name], running=running)


def _events(old: Kind, new: Kind) -> Iterator[Difference]:
    for name in old.events.keys() | new.events.keys():
        path = f"events.{name}"
        before, after = old.events.get(name), new.events.get(name)
        if after is None and before is not None:
            yield Difference(path, "removed", bool(before.from_), before.title.en, before.title.zh)
        elif before is None and after is not None:
            yield Difference(path, "added", bool(after.from_), after.title.en, after.title.zh)
        elif before is not None and after is not None:
            yield from _event(path, before, after)


def _event(path: str, old: Event, new: Event) -> Iterator[Difference]:
    running = bool(old.from_ or new.from_)
    yield from _change(f"{path}.title", old.title, new.title, running=False)
    yield from _sets(f"{path}.from", old.from_, new.from_, "loosened", "tightened", running=running)
    yield from _change(f"{path}.to", old.to, new.to, running=running)
    yield from _sets(f"{path}.by", old.by, new.by, "loosened", "tightened", running=running)
    before, after = ([f"{role} = {name}" for role, name in event.acts_for.items()] for event in (old, new))
    yield from _sets(f"{path}.acts_for", before, after, "tightened", "loosened", running=running)
    yield from _sets(f"{path}.fields", old.fields, new.fields, "loosened", "tightened", running=running)
    yield from _part(f"{path}.data", old.data, new.data, running=running)
    yield from _change(f"{path}.value", old.value, new.value, running=running)
    for member in ("not_before", "not_after"):
        before, after = getattr(old, member), getattr(new, member)
        effect: Effect = "tightened" if before is None else "loosened" if after is None else "changed"
        yield from _change(f"{path}.{member}", before, after, running=running, effect=effect)
    yield from _change(f"{path}.seals_document", old.seals_document, new.seals_document, running=running)
    yield from _change(f"{path}.automatic", old.automatic, new.automatic, running=running)
    yield from _change(f"{path}.refusal", old.refusal, new.refusal, running=False)
    yield from _sets(f"{path}.receipts", old.receipts, new.receipts, "tightened", "loosened", running=running)
    yield from _sets(f"{path}.opens", old.opens, new.opens, "changed", "changed", running=running)
    before, after = ([_shown(one) for one in event.conditions] for event in (old, new))
    yield from _sets(f"{path}.conditions", before, after, "tightened", "loosened", running=running)
    if old.approvals is not None and new.approvals is not None:
        goes_by = old.approvals.amount, new.approvals.amount
        yield from _change(f"{path}.approvals.amount", *goes_by, running=running)
    if _tiers(old) != _tiers(new):
        effect = _approved(old.approvals, new.approvals)
        yield from _change(f"{path}.approvals", _tiers(old), _tiers(new), running=running, effect=effect)


def _tiers(event: Event) -> str:
    """Who approves up to what, on one line."""
    if event.approvals is None:
        return "-"
    return "; ".join(
        f"<= {tier.up_to or '...'} {tier.currency or ''}: {' + '.join(step.policy for step in tier.steps) or '-'}"
        for tier in event.approvals.tiers
    )


def _approved(old: Approvals | None, new: Approvals | None) -> Effect:
    """Tightened where no amount needs fewer steps and some amount more; the other way round loosened."""
    if (old.amount if old else None) != (new.amount if new else None) and old is not None and new is not None:
        return "changed"
    tiers = [*(old.tiers if old else []), *(new.tiers if new else [])]
    amounts = {parse_limit(tier.up_to) + more for tier in tiers if tier.up_to is not None for more in (0, 1)} | {0}
    currencies = {tier.currency for tier in tiers}
    pairs = [
        (_needed(old, currency, amount), _needed(new, currency, amount))
        for currency in currencies
        for amount in amounts
    ]
    if all(len(after) >= len(before) and after[: len(before)] == before for before, after in pairs):
        return "tightened"
    if all(len(after) <= len(before) and before[: len(after)] == after for before, after in pairs):
        return "loosened"
    return "changed"


def _needed(approvals: Approvals | None, currency: str | None, amount: int) -> list[str]:
    def covers(tier: Tier) -> bool:
        return tier.currency in (None, currency) and (tier.up_to is None or amount <= parse_limit(tier.up_to))

    tiers = approvals.tiers if approvals is not None else []
    return next(([step.policy for step in tier.steps] for tier in tiers if covers(tier)), [])


def _registers(old: Kind, new: Kind) -> Iterator[Difference]:
    for table in ("unique", "quotas"):
        before: Mapping[str, Any] = getattr(old, table)
        after: Mapping[str, Any] = getattr(new, table)
        for name in before.keys() | after.keys():
            path = f"{table}.{name}"
            if name not in after:
                yield Difference(path, "removed", True, "new letters are not held to it", "新函件不再受其约束")
            elif name not in before:
                yield Difference(path, "added", True, "new letters are held to it", "新函件受其约束")
            else:
                yield from _change(path, before[name], after[name], running=True)
