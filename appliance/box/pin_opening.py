"""Opening the PINs of tokens that do not have theirs on the disk in clear, once at the start of the box."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import structlog

from appliance.box import tpm
from appliance.box.home import Home
from appliance.box.locked_pins import (
    LockedPin,
    PinLocked,
    find_part,
    open_with_parts,
    open_with_tpm,
    read_locked_pin,
)
from appliance.box.memory_pins import MemoryPins
from appliance.box.settings import BoxSettings, TokenSettings
from appliance.errors import Conflict

LOCKED_SUFFIX = ".pin.locked"
PAUSE_S = 2.0
"""Between two trials of passphrases: beside scrypt, what a guesser at the console has to wait."""

log = structlog.get_logger("supervisor")


class NothingLocked(Conflict):
    """No PIN waits for officers."""

    code = "nothing-locked"
    title = "No PIN waits to be unlocked"


def pin_names(token: TokenSettings) -> Iterator[str]:
    """The names of a token's PINs: its own, and its standby's where that has another."""
    yield token.name
    if token.standby_pin_file is not None:
        yield f"{token.name}.standby"


def locked_path(home: Home, name: str) -> Path:
    return home.secrets / f"{name}{LOCKED_SUFFIX}"


class PinOpening:
    """The PINs of one life of the box that are to be opened."""

    def __init__(self, home: Home, settings: BoxSettings) -> None:
        self._home = home
        self._memory = MemoryPins(home)
        self._sources = {
            name: token.pin_source
            for token in settings.tokens
            if token.pin_source != "file"
            for name in pin_names(token)
        }
        self._waiting: dict[str, LockedPin] = {}
        self._parts: dict[str, dict[int, bytes]] = {}
        self._made = False
        self._one_at_a_time = asyncio.Lock()
        self.opened = asyncio.Event()
        """Set when no PIN waits any more."""

    @property
    def needed(self) -> bool:
        return bool(self._sources)

    @property
    def waiting(self) -> list[str]:
        """Names of the PINs that wait for officers."""
        return sorted(self._waiting)

    def clear(self) -> None:
        """Nothing of a PIN is in memory any more, of this life or of the last."""
        self._memory.clear()
        self._made = False
        self._parts.clear()

    async def begin(self, only: str | None = None) -> None:
        """Open what the TPM opens and is not open; what officers open waits from now on. `only`: a token whose PINs
        alone are opened now, the others by another `begin`.

        Raises TpmRefused, PinLocked, NoMemoryPlace."""
        if self._sources and not self._made:
            self._memory.make()
            self._made = True
        for name, source in self._sources.items():
            if name in self._waiting or self._memory.has(name):
                continue
            if only is not None and name not in {only, f"{only}.standby"}:
                continue
            try:
                locked = read_locked_pin(locked_path(self._home, name).read_bytes(), name)
            except OSError:
                raise PinLocked(f"the PIN of {name} is to be opened by {source} and is not there") from None
            if locked.source != source:
                raise PinLocked(f"the PIN of {name} is locked for {locked.source}, the settings say {source}")
            if source == "tpm":
                self._memory.put(name, await asyncio.to_thread(open_with_tpm, locked, tpm.unseal))
                log.info("pin-opened", token=name, source=source)
            else:
                self._waiting[name] = locked
        if self._waiting:
            self.opened.clear()
        else:
            self.opened.set()

    def drop(self, kept: str) -> None:
        """Forget every PIN that the disk does not have in clear, but those of the token `kept` (control TAMPER)."""
        self._parts.clear()
        for name in self._sources:
            if name not in {kept, f"{kept}.standby"}:
                self._waiting.pop(name, None)
                self._memory.take(name)

    async def unlock(self, passphrase: str) -> list[str]:
        """Try a passphrase on what waits; what still waits then, one text a PIN. Raises PinLocked, NothingLocked."""
        async with self._one_at_a_time:
            if not self._waiting:
                raise NothingLocked("no PIN waits to be unlocked")
            found = False
            for name, locked in list(self._waiting.items()):
                parts = self._parts.setdefault(name, {})
                part = await asyncio.to_thread(find_part, locked, passphrase, tuple(parts))
                if part is None:
                    continue
                found = True
                parts[part[0]] = part[1]
                if len(parts) >= locked.threshold:
                    self._memory.put(name, open_with_parts(locked, parts))
                    del self._waiting[name], self._parts[name]
                    log.info("pin-opened", token=name, source="officer")
            if not found:
                await asyncio.sleep(PAUSE_S)
                log.warning("passphrase-refused")
                raise PinLocked("this passphrase opens nothing that waits")
            if not self._waiting:
                self.opened.set()
            return [
                f"{name}: {locked.threshold - len(self._parts.get(name, {}))} more"
                for name, locked in sorted(self._waiting.items())
            ]
