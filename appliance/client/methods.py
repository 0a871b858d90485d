"""Methods made from the functions of appliance.client.calls, with their arguments, types and words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from appliance.client.calls import Call

P = ParamSpec("P")
T = TypeVar("T")


class Sender(Protocol):
    """A client that blocks."""

    def send(self, call: Call[T], /) -> T: ...


class AsyncSender(Protocol):
    """A client to be awaited."""

    async def send(self, call: Call[T], /) -> T: ...


def sends(make: Callable[P, Call[T]]) -> Callable[Concatenate[Sender, P], T]:
    """The method that makes a call and sends it."""

    def method(self: Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(make(*args, **kwargs))

    _describe(method, make)
    return method


def sends_async(make: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, T]]:
    """The method that makes a call, sends it, and is awaited."""

    async def method(self: AsyncSender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(make(*args, **kwargs))

    _describe(method, make)
    return method


def _describe(method: Callable[..., object], make: Callable[..., Call[T]]) -> None:
    """Let `help` and `inspect` show of the method what the function says. What the call answers is in its brackets."""
    method.__name__ = method.__qualname__ = make.__name__
    method.__doc__ = make.__doc__
    written = inspect.signature(make)
    answer = str(written.return_annotation).removeprefix("Call[").removesuffix("]")
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = written.replace(  # type: ignore[attr-defined]
        parameters=[first, *written.parameters.values()], return_annotation=answer
    )
