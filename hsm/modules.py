"""Loaded modules: one a path and process, initialised once, so that the module locks for itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hsm import constants as ck
from hsm.cryptoki import Cryptoki
from hsm.errors import CryptokiError, ModuleUnavailable

_START_PATIENCE_S = 5.0
_loaded: dict[str, Module] = {}
_guard = threading.Lock()


class Module:
    """A module in use. `locks` tells whether several threads may call it at once."""

    def __init__(self, path: str) -> None:
        self.cryptoki = Cryptoki(path)
        self.path = path
        self.locks = False
        self.users = 0
        self.epoch = 0
        """Counts initialisations: a handle of an older epoch names nothing, or something else."""
        self.hanging_calls = 0
        self.quiet_checks: list[Callable[[], bool]] = []
        """One a user that can tell when it makes no calls; the others count as busy."""
        self._guard = threading.Lock()
        self._calling = 0
        self._owned = False

    def initialise(self) -> None:
        """C_Initialize, tried again with back-off: modules that start in several processes at once can fail."""
        deadline, delay = time.monotonic() + _START_PATIENCE_S, 0.02
        while True:
            try:
                self._initialise_once()
                self.epoch += 1
                return
            except CryptokiError as error:
                if time.monotonic() + delay > deadline:
                    raise ModuleUnavailable(f"{self.path}: {error}") from error
            time.sleep(delay)
            delay *= 2

    def _initialise_once(self) -> None:
        try:
            self.cryptoki.initialize(locking=True)
            self.locks = self._owned = True
        except CryptokiError as error:
            if error.value == ck.CKR_CRYPTOKI_ALREADY_INITIALIZED:
                # Somebody else in this process did it, perhaps without locks: one thread only, and not ours to end.
                self.locks = self._owned = False
                return
            if error.value != ck.CKR_CANT_LOCK:
                raise
            self.cryptoki.initialize(locking=False)
            self.locks, self._owned = False, True

    def finalise(self) -> None:
        """C_Finalize, unless another part of the process initialised the module or a call hangs in it."""
        if self._owned and not self.hanging_calls:
            try:
                self.cryptoki.finalize()
            except CryptokiError as error:
                if error.value != ck.CKR_CRYPTOKI_NOT_INITIALIZED:
                    raise
            self._owned = False

    def use(self) -> None:
        """One more user; waits while the module restarts."""
        with self._guard:
            self.users += 1

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Keep the module from restarting during calls that `quiet_checks` do not tell of: while a connection is made,
        or what is left of one closed."""
        with self._guard:
            self._calling += 1
        try:
            yield
        finally:
            with self._guard:
                self._calling -= 1

    def reinitialise(self) -> bool:
        """Start the module afresh if no thread of this process is in it; whether that was done.

        Raises ModuleUnavailable.
        """
        with self._guard:
            if self._calling or self.hanging_calls or self.users != len(self.quiet_checks):
                return False
            if not all(is_quiet() for is_quiet in self.quiet_checks):
                return False
            self.finalise()
            self.initialise()
            return True


def acquire(path: str | None) -> Module:
    """The module of that path, loaded and initialised if need be. Raises ModuleUnavailable."""
    if not path:
        raise ModuleUnavailable("the URI names no module-path")
    with _guard:
        module = _loaded.get(path)
        if module is None:
            module = Module(path)
            module.initialise()
            _loaded[path] = module
        module.use()
        return module


def release(module: Module) -> None:
    """Give a module back; with its last user gone it is finalised, unless a call hangs in it."""
    with _guard:
        module.users -= 1
        if not module.users and not module.hanging_calls:
            del _loaded[module.path]
            module.finalise()
