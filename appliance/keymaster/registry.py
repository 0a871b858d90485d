"""Who executes what: one executor an action type, and the questions that the desk answers beside the engine's own.

A module of appliance.keymaster.actions registers by decorators:

    @executor(GenerateKey, check=may_generate)
    async def generate_key(ctx: ExecutionContext, action: GenerateKey) -> StepResult: ...

    @answers("keys")
    async def keys(room: Room, scope: str) -> list[dict[str, object]]: ...

A step must be safe to run again after a crash at any point. `check` may refuse an action early: it is asked when the
proposal is submitted and again right before its execution, changes nothing, and raises.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from appliance.ceremonies import Action, Proposal
from appliance.ceremonies.canonical import Name
from appliance.errors import BadRequest
from appliance.keymaster.errors import NotServed

if TYPE_CHECKING:
    from appliance.keymaster.context import ExecutionContext, Room


@dataclass(frozen=True)
class StepResult:
    """What a step leaves: `facts` for the transcript (JSON, public), `outputs` by name (certificates, requests)."""

    facts: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)


Executor = Callable[["ExecutionContext", Any], Awaitable[StepResult]]
Check = Callable[["Room", Proposal, Any], Awaitable[None]]
Question = Callable[..., Awaitable[Any]]

_executors: dict[type, tuple[Executor, Check | None]] = {}
_questions: dict[str, Question] = {}
_Function = TypeVar("_Function", bound=Callable[..., Any])


def executor(action: type, *, check: Check | None = None) -> Callable[[_Function], _Function]:
    """Register the executor of an action type."""

    def register(function: _Function) -> _Function:
        if action in _executors:
            raise ValueError(f"{action.__name__} has an executor")
        _executors[action] = (function, check)
        return function

    return register


def tenant_name(text: str) -> str:
    """A tenant's name in a question. Raises BadRequest."""
    try:
        name: str = msgspec.convert(text, Name)
    except msgspec.ValidationError:
        raise BadRequest("that is no name of a tenant") from None
    return name


def answers(name: str) -> Callable[[_Function], _Function]:
    """Register what the desk answers to a question: `async def f(room, *arguments)`. It changes nothing."""

    def register(function: _Function) -> _Function:
        if name in _questions:
            raise ValueError(f"{name} is answered")
        _questions[name] = function
        return function

    return register


def load_actions() -> None:
    """Import every module of appliance.keymaster.actions, and what the desk answers beside."""
    importlib.import_module("appliance.keymaster.answers")
    package = importlib.import_module("appliance.keymaster.actions")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


def find_executor(action: Action) -> tuple[Executor, Check | None]:
    """Raises NotServed."""
    found = _executors.get(type(action))
    if found is None:
        raise NotServed(f"this box has no executor for {action.__struct_config__.tag}")
    return found


def served_actions() -> list[str]:
    """Tags of the actions that can be executed, sorted."""
    return sorted(str(kind.__struct_config__.tag) for kind in _executors)  # type: ignore[attr-defined]


def questions() -> dict[str, Question]:
    return dict(_questions)
