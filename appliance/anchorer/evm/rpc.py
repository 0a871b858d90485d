"""JSON-RPC 2.0 over HTTP with one node. Nothing is followed, unpacked, or waited for beyond its time."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from appliance.anchorer.evm.errors import NodeFailed, NodeRefused
from appliance.box.ledgers.evm import EvmEndpoint
from appliance.outward import IDENTITY, AnswerRefused, basic_authorization, body_of, read_secret, tls_context
from appliance.quoting import quote

ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Largest answer that is read: a full block with its receipts is some megabytes."""
MOST_CALLS: Final = 64
"""Calls in one batch."""
MESSAGE_CHARACTERS: Final = 200
_WITH_ANSWER: Final = frozenset({200, 400, 404, 500})
"""Statuses whose body may be an answer: some nodes tell errors of JSON-RPC by those of HTTP as well."""
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _Error(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct, frozen=True):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


_answer = msgspec.json.Decoder(_Answer)
_answers = msgspec.json.Decoder(list[_Answer])


class Call(msgspec.Struct, frozen=True):
    """A method with its parameters."""

    method: str
    params: tuple[Any, ...] = ()


class Node:
    """One endpoint. Make it inside a running loop; several calls may be under way."""

    def __init__(self, settings: EvmEndpoint, home: Path, timeout_s: float) -> None:
        """Raises OSError, ValueError where a file of the settings cannot be used."""
        self.url: Final = settings.url
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._batches = True
        headers = IDENTITY | {"content-type": "application/json"}
        secret = _authorization(settings, home)
        if secret is not None:
            headers["authorization"] = secret
        self._http = httpx.AsyncClient(
            verify=_context(settings, home),
            timeout=timeout_s,
            headers=headers,
            trust_env=False,
            limits=httpx.Limits(max_connections=4),
        )

    @property
    def name(self) -> str:
        """Scheme, host and port: what may be told of it. Its path may be a secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, *params: Any) -> msgspec.Raw:
        """The result. Raises NodeFailed, NodeRefused."""
        result = (await self.calls([Call(method, params)]))[0]
        if isinstance(result, NodeRefused):
            raise result
        return result

    async def calls(self, calls: Sequence[Call]) -> list[msgspec.Raw | NodeRefused]:
        """The result of each call, or the error that the node answered it with. Raises NodeFailed."""
        found: list[msgspec.Raw | NodeRefused] = []
        for start in range(0, len(calls), MOST_CALLS):
            some = calls[start : start + MOST_CALLS]
            if len(some) > 1 and self._batches:
                batch = await self._batch(some)
                if batch is not None:
                    found += batch
                    continue
                self._batches = False
            for call in some:
                found.append(await self._one(call))
        return found

    async def _one(self, call: Call) -> msgspec.Raw | NodeRefused:
        number = next(self._numbers)
        body = await self._post(_form(number, call))
        try:
            answer = _answer.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise NodeFailed(f"{self.name} answers {call.method} with no JSON-RPC answer") from None
        if answer.id != number and answer.error is None:
            raise NodeFailed(f"{self.name} answers another call than {call.method}")
        return _result(answer)

    async def _batch(self, calls: Sequence[Call]) -> list[msgspec.Raw | NodeRefused] | None:
        """None: the node takes no batches."""
        numbers = {next(self._numbers): place for place, call in enumerate(calls)}
        forms = [_form(number, call) for number, call in zip(numbers, calls, strict=True)]
        body = await self._post(forms)
        try:
            answers = _answers.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None
        found: dict[int, msgspec.Raw | NodeRefused] = {}
        for answer in answers:
            place = numbers.get(answer.id) if answer.id is not None else None
            if place is None or place in found:
                return None
            found[place] = _result(answer)
        return [found[place] for place in range(len(calls))] if len(found) == len(calls) else None

    async def _post(self, form: Any) -> bytes:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream("POST", self.url, content=msgspec.json.encode(form)) as answer,
            ):
                if answer.status_code not in _WITH_ANSWER:
                    raise NodeFailed(f"{self.name} answers with HTTP status {answer.status_code}")
                return await body_of(answer, ANSWER_BYTES)
        except AnswerRefused as error:
            raise NodeFailed(f"{self.name}: {error}") from None
        except TimeoutError:
            raise NodeFailed(f"{self.name} is silent for {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NodeFailed(f"{self.name} cannot be reached ({type(error).__name__})") from None


def _form(number: int, call: Call) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}


def _result(answer: _Answer) -> msgspec.Raw | NodeRefused:
    if answer.error is not None:
        return NodeRefused(answer.error.code, quote(answer.error.message, MESSAGE_CHARACTERS))
    return answer.result


def _context(settings: EvmEndpoint, home: Path) -> ssl.SSLContext | bool:
    if not settings.url.startswith("https://"):
        return False
    return tls_context(None if settings.ca is None else home / settings.ca)


def _authorization(settings: EvmEndpoint, home: Path) -> str | None:
    """The header by which the node knows the box."""
    if settings.password_file is None and settings.token_file is None:
        return None
    parts = urlsplit(settings.url)
    if parts.scheme != "https" and parts.hostname not in _HERE:
        raise ValueError("a node's password or token travels over https only")
    if settings.password_file is not None:
        return basic_authorization(home / settings.password_file)
    assert settings.token_file is not None  # noqa: S101 - one of the two is there
    token = read_secret(home / settings.token_file)
    if not token.isascii():
        raise ValueError(f"{settings.token_file} holds no password or token of ASCII alone (RFC 6750, section 2.1)")
    return f"Bearer {token.decode()}"
