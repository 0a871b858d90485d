"""HOME/witness.toml: which logs, by which keys, and where to listen. Written by hand; every fault is told at once."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec

from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedNote
from appliance.log.note import COSIGNATURE_V1, ED25519, VerifierKey
from appliance.log.tree import MAXIMUM_SIZE
from appliance.witness.errors import SettingsFaults
from appliance.witness.judging import KnownLog

FILE: Final = "witness.toml"
FORMAT: Final = "cinnabar-witness/1"
LARGEST_FILE: Final = 4 * 1024 * 1024

Address = Annotated[str, msgspec.Meta(pattern=r"\A(\[[0-9a-fA-F:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}\Z")]
"""HOST:PORT; port 0 takes a free one."""
_Size = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_SIZE)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Url = Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^@?#\s]+\Z", max_length=1_000)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class KeySettings(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the witness. All of them cosign, so that one can take another's place without a gap."""

    name: _Text
    """In cosignatures: a URL without a scheme."""
    file: _Text | None = None
    """Ed25519 private key, PKCS#8 in PEM, mode 0600; or"""
    uri: _Text | None = None
    """pkcs11: URI (RFC 7512) of a key in a token, and"""
    pin_file: _Text | None = None
    """the file with its user PIN, mode 0600."""


class ListenSettings(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to listen, over TLS where a certificate is given."""

    listen: Address
    certificate: _Text | None = None
    """Chain, PEM."""
    key: _Text | None = None
    """Its key, PEM, mode 0600."""


class StateSettings(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    directory: _Text = "state"
    copy: _Text | None = None
    """A directory on another disk or host that is kept equal: it tells a state that was rolled back."""


class FollowSettings(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    every_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    witness: _Url | None = None
    """Submission prefix of the witness; the submission listener's own address if left out."""
    ca: _Text | None = None
    """CA of the witness's certificate, PEM, where it is not a public one."""


class LogKeySettings(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: _Text
    """Verifier key (C2SP signed-note)."""
    first_size: _Size = 0
    last_size: _Size | None = None


class LogSettings(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    origin: Annotated[str, msgspec.Meta(min_length=1, max_length=400, pattern=r"\A[^\x00-\x1f]+\Z")]
    keys: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=64)]
    title: _Text | None = None
    """For people."""
    silent_after_s: Annotated[float, msgspec.Meta(ge=1)] = 3_600.0
    """A log that has sent nothing for so long is shown as silent."""
    url: _Url | None = None
    """Prefix under which it is published (C2SP tlog-tiles), for `cinnabar witness follow`."""
    ca: _Text | None = None
    """CA of that server's certificate, PEM, where it is not a public one."""


@dataclass(frozen=True)
class WatchedLog:
    """A log that is witnessed."""

    known: KnownLog
    settings: LogSettings

    @property
    def title(self) -> str:
        return self.settings.title or self.known.origin


@dataclass(frozen=True)
class WitnessSettings:
    """What witness.toml says. Paths are below the home, unless they are absolute."""

    home: Path
    keys: tuple[KeySettings, ...]
    submission: ListenSettings
    monitoring: ListenSettings | None
    state: StateSettings
    follow: FollowSettings
    logs: tuple[WatchedLog, ...]
    title: str | None = None

    def path(self, name: str) -> Path:
        return self.home / name

    @property
    def state_directory(self) -> Path:
        return self.path(self.state.directory)

    @property
    def copy_directory(self) -> Path | None:
        return None if self.state.copy is None else self.path(self.state.copy)

    @property
    def follow_report(self) -> Path:
        """What `cinnabar witness follow` found last, for the pages."""
        return self.home / "follow.json"


def read_witness_settings(home: Path) -> WitnessSettings:
    """Read HOME/witness.toml. Raises SettingsFaults with everything that is wrong with it."""
    file = home / FILE
    try:
        encoded = file.read_bytes()
    except OSError as error:
        raise SettingsFaults([f"{file}: {error.strerror}"]) from None
    if len(encoded) > LARGEST_FILE:
        raise SettingsFaults([f"{file} is larger than {LARGEST_FILE} bytes"])
    try:
        document = tomllib.loads(encoded.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise SettingsFaults([f"{file}: {error}"]) from None
    return _Reading(home).read(document)


_Found = TypeVar("_Found", bound=msgspec.Struct)


class _Reading:
    """One file, and the faults found in it so far."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._faults: list[str] = []

    def read(self, document: dict[str, Any]) -> WitnessSettings:
        known = {"format", "title", "keys", "submission", "monitoring", "state", "follow", "logs"}
        for name in sorted(document.keys() - known):
            self._fault(name, "there is no such setting")
        if document.get("format") != FORMAT:
            self._fault("format", f'it must be "{FORMAT}"')
        title = document.get("title")
        if title is not None and not isinstance(title, str):
            self._fault("title", "it is text")
        keys = [self._key(place, table) for place, table in self._tables(document, "keys")]
        submission = self._table(ListenSettings, document.get("submission"), "submission")
        monitoring = None
        if "monitoring" in document:
            monitoring = self._table(ListenSettings, document["monitoring"], "monitoring")
        state = self._table(StateSettings, document.get("state", {}), "state")
        follow = self._table(FollowSettings, document.get("follow", {}), "follow")
        logs = [self._log(place, table) for place, table in self._tables(document, "logs")]
        self._only_once([(one.known.origin, f"logs: {one.known.origin}") for one in logs if one is not None])
        self._only_once([(one.name, f"keys: {one.name}") for one in keys if one is not None])
        for place, listener in (("submission", submission), ("monitoring", monitoring)):
            if listener is not None and (listener.certificate is None) != (listener.key is None):
                self._fault(place, "a certificate and its key go together")
        if not keys:
            self._fault("keys", "a witness has a key")
        if self._faults or submission is None or state is None or follow is None:
            raise SettingsFaults(self._faults)
        found_keys, found_logs = _present(keys), _present(logs)
        return WitnessSettings(self._home, found_keys, submission, monitoring, state, follow, found_logs, title=title)

    def _key(self, place: str, table: dict[str, Any]) -> KeySettings | None:
        key = self._table(KeySettings, table, place)
        if key is None:
            return None
        if (key.file is None) == (key.uri is None):
            self._fault(place, "a key stands in a file or, by its uri, in a token")
        if (key.uri is None) != (key.pin_file is None):
            self._fault(place, "uri and pin_file go together")
        try:
            VerifierKey(key.name, bytes(32), COSIGNATURE_V1)
        except MalformedNote as error:
            self._fault(f"{place}.name", str(error))
        return key

    def _log(self, place: str, table: dict[str, Any]) -> WatchedLog | None:
        settings = self._table(LogSettings, table, place)
        if settings is None:
            return None
        keys = [self._log_key(f"{place}.keys[{number}]", entry) for number, entry in enumerate(settings.keys)]
        found = _present(keys)
        self._only_once([(str(key.verifier), f"{place}.keys: {key.verifier.name}") for key in found])
        return WatchedLog(KnownLog(settings.origin, found), settings)

    def _log_key(self, place: str, table: dict[str, Any]) -> LogKey | None:
        entry = self._table(LogKeySettings, table, place)
        if entry is None:
            return None
        try:
            key = VerifierKey.parse(entry.key)
        except MalformedNote as error:
            self._fault(f"{place}.key", str(error))
            return None
        if key.type != ED25519:
            self._fault(f"{place}.key", "it is no key of a log, which has type 1")
            return None
        if entry.last_size is not None and entry.last_size < entry.first_size:
            self._fault(place, "last_size is smaller than first_size")
        return LogKey(key, entry.first_size, entry.last_size)

    def _tables(self, document: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
        found = document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            self._fault(name, f"it is a list of tables: [[{name}]]")
            return []
        return [(f"{name}[{number}]", table) for number, table in enumerate(found)]

    def _table(self, kind: type[_Found], table: object, place: str) -> _Found | None:
        """A table as a Struct, its members held to their types one by one, so that each fault is told."""
        if not isinstance(table, dict):
            self._fault(place, f"the table [{place}] is missing" if table is None else "it is a table")
            return None
        before = len(self._faults)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in sorted(table.keys() - fields.keys()):
            self._fault(f"{place}.{name}", "there is no such setting")
        values: dict[str, object] = {}
        for name, field in fields.items():
            if name in table:
                try:
                    values[name] = msgspec.convert(table[name], field.type)
                except (msgspec.ValidationError, RecursionError) as error:
                    self._fault(f"{place}.{name}", str(error))
            elif field.required:
                self._fault(f"{place}.{name}", "it is missing")
        return kind(**values) if len(self._faults) == before else None

    def _only_once(self, names: Sequence[tuple[str, str]]) -> None:
        counts = Counter(names)
        for (_, shown), count in counts.items():
            if count > 1:
                self._fault(shown, "it stands there twice")

    def _fault(self, place: str, text: str) -> None:
        self._faults.append(f"{place}: {text}")


_Item = TypeVar("_Item")


def _present(items: Sequence[_Item | None]) -> tuple[_Item, ...]:
    return tuple(item for item in items if item is not None)
