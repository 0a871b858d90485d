"""The state and its copy elsewhere, opened together: whichever knows more counts.

A state directory that was put back as it was last week looks sound from inside. Its copy tells: it has seen more
transactions. The state is then made equal to the copy, and that it was behind is told loudly. A copy that cannot be
reached stops the witness: that is what it was configured for.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from appliance.files import lock_file
from appliance.witness.errors import LOST, StateUnusable, StateUnwritable
from appliance.witness.reserve import Reserve
from appliance.witness.settings import WitnessSettings
from appliance.witness.state import Change, ForkFound, LossFound, Store

_LOCK: Final = "lock"

log = structlog.get_logger("witness")


class States:
    """The state, and its copy where there is one."""

    def __init__(self, store: Store, copy: Store | None) -> None:
        """Raises StateUnusable."""
        self.store = store
        self._reserve = Reserve(store.path.parent)
        self._copy = copy
        self._behind = False
        """The copy lacks a change that the state has."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Make changes durable in both, with what the state could not take before. Raises sqlite3.Error, OSError, and
        StateUnwritable where the state has them and the copy does not, or has them not and the reserve has what refuses
        a log; then nothing of them may be released."""
        try:
            refused = self.store.refused()
            changes = [*(one for one in self._reserve.kept if one.origin not in refused), *changes]
            self.store.apply(changes)
        except (sqlite3.Error, OSError) as error:
            refusals = [change for change in changes if isinstance(change, ForkFound | LossFound)]
            if not refusals:
                raise
            self._reserve.keep(refusals)
            raise StateUnwritable(str(error), refusals_kept=True) from None
        if self._reserve.kept:
            try:
                self._reserve.clear()
            except OSError as error:  # then what stands there refuses a log again at the next start, which is safe
                log.error("reserve-unwritable", control="FORK", error=str(error))
        self._apply_to_copy(changes)

    def settle(self) -> None:
        """Have the state take what it could not take before, if it can now."""
        if self._reserve.kept:
            try:
                self.apply(())
            except (sqlite3.Error, OSError, StateUnwritable) as error:
                log.error("state-unwritable", control="FORK", changes=len(self._reserve.kept), error=str(error))

    def _apply_to_copy(self, changes: Sequence[Change]) -> None:
        if self._copy is None:
            return
        try:
            if self._behind:
                self._copy.close()
                self._copy = self.store.copy_to(self._copy.path.parent)
            else:
                self._behind = True
                self._copy.apply(changes)
        except (sqlite3.Error, OSError, StateUnusable) as error:
            raise StateUnwritable(str(error), state_has_it=True) from None
        self._behind = False

    def close(self) -> None:
        self.store.close()
        if self._copy is not None:
            self._copy.close()


@contextlib.contextmanager
def open_states(settings: WitnessSettings) -> Iterator[States]:
    """Open the state for this process alone. Raises StateUnusable."""
    with alone(settings.state_directory):
        states = _open(settings.state_directory, settings.copy_directory)
        try:
            states.settle()
            yield states
        finally:
            states.close()


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold a state directory for this process. Raises StateUnusable."""
    try:
        descriptor = lock_file(directory / _LOCK)
    except BlockingIOError:
        raise StateUnusable(f"another process uses {directory}: stop the witness first") from None
    except OSError as error:
        lost = f". {LOST}" if isinstance(error, FileNotFoundError) else ""
        raise StateUnusable(f"{directory}: {error.strerror}{lost}") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _open(directory: Path, elsewhere: Path | None) -> States:
    store = Store.open(directory)
    try:
        if elsewhere is None:
            return States(store, None)
        copy = Store.open(elsewhere)
    except StateUnusable:
        store.close()
        raise
    try:
        return _agreed(store, copy)
    except BaseException:
        store.close()
        copy.close()
        raise


def _agreed(store: Store, copy: Store) -> States:
    if store.identity != copy.identity:
        raise StateUnusable(f"{copy.path} is the copy of another state than {store.path}")
    behind = copy.sequence - store.sequence
    if behind > 0:
        # The state is written first, so that the copy is never ahead but where the state went back.
        log.critical(
            "state-rolled-back", control="FORK", state=str(store.path), copy=str(copy.path), transactions=behind
        )
        store.close()
        return States(copy.copy_to(store.path.parent), copy)
    if behind < 0:
        if behind < -1:
            log.error("copy-rolled-back", control="FORK", copy=str(copy.path), transactions=-behind)
        copy.close()
        return States(store, store.copy_to(copy.path.parent))
    mine, others = store.remembered(), copy.remembered()
    if {origin: head.note for origin, head in mine.heads.items()} != {
        origin: head.note for origin, head in others.heads.items()
    }:
        raise StateUnusable(f"{store.path} and {copy.path} have seen as much and tell other heads")
    return States(store, copy)
