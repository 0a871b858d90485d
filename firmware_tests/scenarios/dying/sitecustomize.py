"""Has a worker or the recorder of a running box die by SIGKILL at a step that a test names.

Python imports this module by its name at the start of every process that has its directory on PYTHONPATH, before the
program itself; so the product knows nothing of it. A test gives an order (firmware_tests/scenarios/deaths.py): a file
with the name of a step and how often it is to be passed. The process that passes it so often takes the order and dies.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ORDERS = Path(os.environ.get("DYING_ORDERS", "/nowhere"))
WORKER, RECORDER = "appliance.api", "appliance.recorder"
CHECKPOINT = "recorder: in a checkpoint"
RESTART_DELAY_S = 0.1
WAL_BYTES = 8 * 1024 * 1024
"""Of KeeperSettings: what makes the recorder begin a checkpoint."""


@dataclass(frozen=True)
class Place:
    """Where a step is passed: before a function is entered, or after it has returned."""

    part: str
    """The module that the process runs."""
    module: str
    function: str
    after: bool = False
    meant: Callable[..., bool] = lambda *_, **__: True
    """Whether a call, by its arguments, belongs to what tests ask for."""


def _of_letters(_writer: object, work: list[tuple[object, Any]], *_: object, **__: object) -> bool:
    """Commands of a transaction."""
    return any(getattr(one, "effects", None) or type(one).__name__ == "IntakeSlice" for _, one in work)


def _moves_letters(transaction: Any, *_: object) -> bool:
    return bool(transaction.letters._all.events)


def _counted(_call: object, key: Any, _message: bytes) -> bool:
    return bool(key.spec.counted)


def _finishes(_keeper: object, task: Callable[[], None]) -> bool:
    return task.__name__ == "finish_checkpoint"


STEPS = {
    "worker: before C_Sign": [Place(WORKER, "appliance.recorder.counts", "CallCounter.count", after=True)],
    "worker: after C_Sign": [Place(WORKER, "hsm.site", "SignCall.__call__", after=True, meant=_counted)],
    "worker: before the record is sent": [
        Place(WORKER, "appliance.recorder.client", "RecorderClient.append"),
        Place(WORKER, "appliance.recorder.client", "RecorderClient.intake_slice"),
    ],
    "worker: after the recorder's answer": [
        Place(WORKER, "appliance.api.signing", "append", after=True),
        Place(WORKER, "appliance.recorder.client", "RecorderClient.intake_slice", after=True),
    ],
    "recorder: before the transaction": [
        Place(RECORDER, "appliance.recorder.writer", "Writer._attempt", meant=_of_letters)
    ],
    "recorder: between effects": [Place(RECORDER, "appliance.recorder.letters", "Book._value")],
    "recorder: parts written, their origin not": [Place(RECORDER, "appliance.store.letters", "move_letters")],
    "recorder: letters written, events not": [Place(RECORDER, "appliance.store.letters", "add_events")],
    "recorder: before COMMIT": [
        Place(RECORDER, "appliance.recorder.transaction", "Transaction.write", after=True, meant=_moves_letters)
    ],
    "recorder: after COMMIT": [
        Place(RECORDER, "appliance.recorder.transaction", "Transaction.publish", meant=_moves_letters)
    ],
    CHECKPOINT: [Place(RECORDER, "appliance.recorder.keeper", "Keeper._in_writer", meant=_finishes)],
}

_passed: dict[str, int] = {}
_trying = False
"""Signatures by which a token's keys are tried are nobody's."""


def _order() -> tuple[str, int, str]:
    """(step, how often it is to be passed, the order's own name); no step where there is none."""
    try:
        step, times, name = (ORDERS / "order").read_text().split("\n")
    except FileNotFoundError:
        return "", 0, ""
    return step, int(times), name


def _pass(step: str) -> None:
    ordered, times, name = _order()
    if _trying or step != ordered:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == times:
        (ORDERS / "order").rename(ORDERS / f"{name}.{os.getpid()}")
        os.kill(os.getpid(), signal.SIGKILL)


def _wrap(module: Any, function: str, run: Callable[[], None], *, after: bool, meant: Callable[..., bool]) -> None:
    *owners, name = function.split(".")
    owner = functools.reduce(getattr, owners, module)
    original = getattr(owner, name)

    @functools.wraps(original)
    def before_it(*arguments: Any, **more: Any) -> Any:
        if meant(*arguments, **more):
            run()
        return original(*arguments, **more)

    @functools.wraps(original)
    def after_it(*arguments: Any, **more: Any) -> Any:
        result = original(*arguments, **more)
        if meant(*arguments, **more):
            run()
        return result

    @functools.wraps(original)
    async def after_awaiting_it(*arguments: Any, **more: Any) -> Any:
        result = await original(*arguments, **more)
        if meant(*arguments, **more):
            run()
        return result

    awaited = inspect.iscoroutinefunction(inspect.unwrap(original))
    setattr(owner, name, (after_awaiting_it if awaited else after_it) if after else before_it)


def _pass_over_trials(module: Any) -> None:
    original = module.Site.prove

    def prove(*arguments: Any) -> None:
        global _trying  # noqa: PLW0603 - of the process
        _trying = True
        try:
            original(*arguments)
        finally:
            _trying = False

    module.Site.prove = prove


def _begin_checkpoint(module: Any) -> None:
    """Where it is ordered, what was just committed is not answered: the keeper copies it into the database meanwhile,
    and dies before it has finished."""
    original = module.Writer._attempt

    def attempt(writer: Any, work: Any, *arguments: Any, **more: Any) -> Any:
        answers = original(writer, work, *arguments, **more)
        if _order()[0] == CHECKPOINT and _of_letters(writer, work):
            writer.unchecked_bytes += WAL_BYTES
            time.sleep(60)
        return answers

    module.Writer._attempt = attempt


def _change(module: Any) -> None:
    """A module was loaded."""
    if module.__name__ == "appliance.box.keeping":
        module.RESTART_DELAY_S = (RESTART_DELAY_S,)  # that pauses grow is another test's matter
    for step, places in STEPS.items():
        for place in places:
            if place.module == module.__name__ and place.part in sys.orig_argv:
                _wrap(module, place.function, functools.partial(_pass, step), after=place.after, meant=place.meant)
    if module.__name__ == "appliance.recorder.writer":
        _begin_checkpoint(module)
    elif module.__name__ == "hsm.site":
        _pass_over_trials(module)


class _Finder:
    """Finds what others find, and changes it once it is loaded."""

    MODULES = {"appliance.box.keeping"} | {place.module for places in STEPS.values() for place in places}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.MODULES:
            return None
        found = (one.find_spec(name, path, target) for one in sys.meta_path if one is not self)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_change(module: Any) -> None:
                execute(module)
                _change(module)

            spec.loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]
