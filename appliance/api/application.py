"""The life of a request between the connection and its handler: caller, state, schema, handler, problem."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
import structlog

from appliance.api.endpoints import NO_BODY, SOCKETS, Endpoint
from appliance.api.errors import StateForbids, UnknownPath, UnsupportedMediaType
from appliance.api.messages import Request, Response
from appliance.api.problems import problem_response
from appliance.api.request_reader import CERTIFICATE_HEADER
from appliance.api.routing import Router
from appliance.box.settings import LimitSettings
from appliance.box.states import State, permits, refusal
from appliance.errors import BadRequest, CinnabarError, InvalidMember, Unavailable
from appliance.repeated import refuse_repeated
from hsm.errors import HsmError

if TYPE_CHECKING:
    from appliance.api.worker import Worker

log = structlog.get_logger("api")


class TokenUnavailable(Unavailable):
    """The HSM failed, hangs, or lost its session; the lanes are at work on it."""

    code = "hsm-unavailable"
    title = "The HSM does not answer now"


class Application:
    """Routes requests to handlers and turns what they raise into problems."""

    def __init__(
        self, worker: Worker, endpoints: tuple[Endpoint, ...], limits: LimitSettings, state: Callable[[], State]
    ) -> None:
        self._worker = worker
        self._state = state
        self._routers = {listener: Router(endpoints, listener) for listener in SOCKETS}
        self._limits: dict[int, int] = {id(endpoint): endpoint.limit(limits) for endpoint in endpoints}
        self._decoders: dict[int, Mapping[str, Callable[[bytes], Any] | None]] = {
            id(endpoint): {
                body.media_type: (
                    msgspec.json.Decoder(body.schema).decode
                    if body.schema is not None and endpoint.reads_body
                    else None
                )
                for body in endpoint.takes
            }
            for endpoint in endpoints
        }

    def route(self, request: Request) -> int:
        """Find the endpoint, or keep the refusal for the request's turn. Returns the largest body to take, in bytes."""
        try:
            endpoint, request.arguments = self._routers[request.listener].find(request.method, request.path)  # type: ignore[index]
        except CinnabarError as error:
            request.refusal = error
            return NO_BODY
        request.endpoint = endpoint
        return self._limits[id(endpoint)]

    async def answer(self, request: Request) -> Response:
        """The response to a request. Raises nothing."""
        try:
            return await self._answer(request)
        except CinnabarError as error:
            return problem_response(error)
        except HsmError as error:
            return problem_response(TokenUnavailable(type(error).__name__))
        except Exception:
            log.exception("request-failed", endpoint=request.endpoint and request.endpoint.name)
            return problem_response(CinnabarError("The box logged what happened."))

    async def _answer(self, request: Request) -> Response:
        if request.listener == "applications":
            endpoint = request.endpoint
            if endpoint is None or endpoint.needs_caller or CERTIFICATE_HEADER in request.headers:
                # Strangers are told nothing, not even which paths there are.
                request.caller = self._worker.callers.find(request.headers.get(CERTIFICATE_HEADER), time.time())
                if endpoint is not None and request.caller.partners and not endpoint.for_partners:
                    raise UnknownPath("A partner's application sends messages to the gateway.")
        if request.refusal is not None:
            raise request.refusal
        endpoint = request.endpoint
        assert endpoint is not None  # noqa: S101 - route set it or the refusal
        state = self._state()
        if state and not permits(state, endpoint.work):
            raise StateForbids(refusal(state))
        decoders = self._decoders[id(endpoint)]
        if decoders:
            self._decode(request, decoders)
        elif request.body:
            raise BadRequest("This endpoint takes no body.")
        return await endpoint.handler(self._worker, request)

    @staticmethod
    def _decode(request: Request, decoders: Mapping[str, Callable[[bytes], Any] | None]) -> None:
        media_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        try:
            decode = decoders[media_type]
        except KeyError:
            raise UnsupportedMediaType(f"This endpoint takes {' or '.join(decoders)}.") from None
        request.media_type = media_type
        if decode is None:
            return
        try:
            request.document = decode(request.body)
        except msgspec.ValidationError as error:
            raise InvalidMember(f"{error}.") from None
        except msgspec.DecodeError as error:
            raise BadRequest(f"The body is not JSON: {error}.") from None
        except RecursionError:
            raise BadRequest("The body's JSON is nested too deeply.") from None
        refuse_repeated(request.body)


_QUERY_LIMIT: Final = 16


def query_of(request: Request) -> dict[str, str]:
    """The query's parameters, checked against the endpoint's. Raises BadRequest for an unknown, repeated or odd one."""
    if not request.query:
        return {}
    endpoint = request.endpoint
    known = {parameter.name: parameter.pattern for parameter in endpoint.query} if endpoint is not None else {}
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, strict_parsing=True, max_num_fields=_QUERY_LIMIT)
    except ValueError:
        raise BadRequest("The query cannot be read.") from None
    for name, value in pairs:
        pattern = known.get(name)
        if pattern is None or name in found:
            raise BadRequest("The query has an unknown or repeated parameter.")
        if re.fullmatch(pattern, value, re.ASCII) is None:
            raise InvalidMember(f"The query's {name} breaks its pattern {pattern}.")
        found[name] = value
    return found
