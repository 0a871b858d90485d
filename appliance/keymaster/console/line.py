"""What an executor asks the person at the box's console, and shows there once. The journal keeps that it was asked and
answered; what was shown or typed is in memory only, and only as long as it takes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from appliance.errors import BadRequest
from appliance.keymaster.errors import ConsoleSilent, NotAwaited
from appliance.keymaster.journal import Journal

ANSWER_LIMIT = 4_000
"""Longest typed answer, in characters."""

Kind = Literal["ask", "show"]


@dataclass
class Pending:
    """A question that waits for the console. `secret`: what is typed or shown is never kept."""

    number: int
    kind: Kind
    prompt: str
    text: str
    secret: bool
    proposal: str
    until: int
    """When it ends by itself, seconds since the epoch."""
    answer: asyncio.Future[str]


class ConsoleLine:
    """Questions that wait, in order. One person answers them one by one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._pending: dict[int, Pending] = {}

    async def ask(self, proposal: str, step: int, prompt: str, *, timeout_s: float = 600.0, secret: bool = True) -> str:
        """What a person types on the console. `prompt` is kept in the journal and must hold no secret.

        Raises ConsoleSilent after `timeout_s` seconds, or as soon as it is given up."""
        return await self._put("ask", proposal, step, prompt, "", secret, timeout_s)

    async def show(self, proposal: str, step: int, prompt: str, text: str, *, timeout_s: float = 600.0) -> None:
        """Show a text once; returns when the person says that it was taken down. Raises ConsoleSilent."""
        await self._put("show", proposal, step, prompt, text, True, timeout_s)

    async def _put(
        self, kind: Kind, proposal: str, step: int, prompt: str, text: str, secret: bool, timeout_s: float
    ) -> str:
        now_us = time.time_ns() // 1000
        number = self._journal.ask(proposal, step, kind, prompt, now_us)
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        until = int(now_us / 1_000_000 + timeout_s)
        self._pending[number] = Pending(number, kind, prompt, text, secret, proposal, until, future)
        state = "given-up"
        try:
            answer = await asyncio.wait_for(future, timeout_s)
            state = "answered"
        except TimeoutError:
            state = "timed-out"
            raise ConsoleSilent(f"nobody answered on the console: {prompt}") from None
        finally:
            del self._pending[number]
            self._journal.end_question(number, state, time.time_ns() // 1000)
        return answer

    def pending(self) -> list[dict[str, object]]:
        """For the console: what waits, without the text that is shown once."""
        return [
            {
                "number": one.number,
                "kind": one.kind,
                "prompt": one.prompt,
                "secret": one.secret,
                "shown": one.kind == "show" and not one.text,
                "proposal": one.proposal,
                "until": one.until,
            }
            for one in self._pending.values()
        ]

    def take_text(self, number: int) -> str:
        """The text of a `show`, once. Raises NotAwaited."""
        one = self._find(number)
        text, one.text = one.text, ""
        if one.kind != "show":
            raise NotAwaited("nothing is shown under this number; it asks")
        if not text:
            raise NotAwaited("it was shown, and is not shown again: answer that it was taken down, or give it up")
        return text

    def answer(self, number: int, text: str) -> None:
        """The typed answer, or for a `show` that it was taken down. Raises NotAwaited, BadRequest."""
        if len(text) > ANSWER_LIMIT:
            raise BadRequest(f"an answer has at most {ANSWER_LIMIT} characters")
        one = self._find(number)
        if one.kind == "show" and one.text:
            raise NotAwaited("it was not shown yet")
        if not one.answer.done():
            one.answer.set_result(text)

    def give_up(self, number: int) -> None:
        """End a question at once, as its time would: the step fails, and what is executed again asks or shows anew.
        Raises NotAwaited."""
        one = self._find(number)
        if not one.answer.done():
            one.answer.set_exception(ConsoleSilent(f"it was given up on the console: {one.prompt}"))

    def _find(self, number: int) -> Pending:
        found = self._pending.get(number)
        if found is None:
            raise NotAwaited("nobody waits for this answer")
        return found
