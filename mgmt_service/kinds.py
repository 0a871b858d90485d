"""A tenant's kinds of letters as pages name them: titles and labels in the reader's language, by the very version."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from appliance.letters.errors import KindRefused
from appliance.letters.kind import Bilingual, Event, Field, LoadedKind, read_kind
from mgmt_service.desk import Desk
from mgmt_service.languages import chosen_language


def is_chinese() -> bool:
    """Whether the reader reads Chinese."""
    return chosen_language() != "en"


def told(text: Bilingual) -> str:
    """A text in the reader's language."""
    return text.zh if is_chinese() else text.en


class KindBook:
    """Every version of every kind of one tenant."""

    def __init__(self, versions: list[LoadedKind]) -> None:
        self.versions = versions
        self._by_digest = {one.digest: one for one in versions}

    @classmethod
    def of(cls, desk: Desk, tenant: str) -> KindBook:
        """As the keymaster has it. A file that cannot be read is left out: the keymaster installs none."""
        found = []
        for text in desk.call(lambda client: client.kind_versions(tenant)):
            try:
                found.append(_read(text))
            except KindRefused:
                continue
        return cls(found)

    def newest(self) -> list[LoadedKind]:
        """The newest version of each kind, by id."""
        found = {one.kind.id: one for one in sorted(self.versions, key=lambda one: one.kind.version)}
        return [found[name] for name in sorted(found)]

    def version(self, kind: str, number: int | None = None) -> LoadedKind | None:
        """A version of a kind; without a number the newest."""
        mine = [one for one in self.versions if one.kind.id == kind and number in (None, one.kind.version)]
        return max(mine, key=lambda one: one.kind.version, default=None)

    def of_digest(self, digest: str) -> LoadedKind | None:
        return self._by_digest.get(digest)

    def titles(self) -> dict[str, str]:
        """Id of a kind to its title."""
        return {one.kind.id: told(one.kind.title) for one in self.newest()}

    def states(self) -> dict[str, str]:
        """State to its title; of states that several kinds have, the first one's."""
        found: dict[str, str] = {}
        for one in self.newest():
            for name, state in one.kind.states.items():
                found.setdefault(name, told(state.title))
        return found


_read = lru_cache(maxsize=1024)(read_kind)


def event_of(loaded: LoadedKind | None, name: str) -> Event | None:
    return None if loaded is None else loaded.kind.events.get(name)


def field_label(fields: dict[str, Field], name: str) -> str:
    """The field's label; its name where the kind has no such field."""
    field = fields.get(name)
    return name if field is None else told(field.label)


def value_text(field: Field | None, value: Any) -> str:
    """A value of a letter as people read it: nothing rounded, nothing left out."""
    if isinstance(value, dict) and set(value) == {"amount", "currency"}:
        return f"{grouped(str(value['amount']))} {value['currency']}"
    if isinstance(value, dict) and "name" in value and set(value) <= {"name", "id"}:
        return f"{value['name']} ({value['id']})" if "id" in value else str(value["name"])
    if isinstance(value, bool):
        return {(True, True): "是", (True, False): "否", (False, True): "yes", (False, False): "no"}[
            is_chinese(), value
        ]
    if field is not None and isinstance(value, str) and value in field.choices:
        return told(field.choices[value])
    return value if isinstance(value, str) else str(value)


def grouped(amount: str) -> str:
    """Digits in groups of three."""
    whole, point, part = amount.partition(".")
    return f"{int(whole):,}{point}{part}" if whole.isdigit() else amount
