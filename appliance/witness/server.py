"""HTTP of a witness: logs submit on one listener, people and programs look on another. TCP, over TLS where it is set.

Sizes, times and slow peers are held as everywhere (appliance.api.connection); here no client certificate says who asks.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance.api.connection import Connection
from appliance.api.connections import Connections
from appliance.api.errors import MethodNotAllowed, TooLarge, UnknownPath
from appliance.api.messages import NO_STORE, Request, Response
from appliance.api.problems import problem_response
from appliance.errors import CinnabarError, NotFound
from appliance.witness.errors import OtherSize, SettingsFaults, WitnessRefusal
from appliance.witness.looking import Looking
from appliance.witness.metrics import metrics
from appliance.witness.pages import index_page, log_page
from appliance.witness.request import REQUEST_BYTES
from appliance.witness.service import Witness
from appliance.witness.settings import ListenSettings, WitnessSettings
from appliance.witness.texts import language_of

CONNECTIONS: Final = 1_024
CONNECTIONS_OF_ONE: Final = CONNECTIONS // 4
"""Of one address, unless it is this machine's: a reverse proxy's are everybody's."""
IN_FLIGHT: Final = 512
HELD_BYTES: Final = 32 * 1024 * 1024
HANDSHAKE_SECONDS: Final = 10.0
ADD_CHECKPOINT: Final = "/add-checkpoint"

_TEXT: Final = b"text/plain; charset=utf-8"
_SIZE: Final = b"text/x.tlog.size"
_HTML: Final = b"text/html; charset=utf-8"
_PAGE_HEADERS: Final = (
    NO_STORE
    + b"content-security-policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'\r\nx-content-type-options: nosniff\r\n"
    b"referrer-policy: no-referrer\r\nvary: accept-language\r\n"
)
_LOG: Final = re.compile(r"/log/([0-9a-f]{64})(/checkpoint)?")
_FORK: Final = re.compile(r"/forks/([1-9][0-9]{0,8})\.json")

log = structlog.get_logger("witness")


class WitnessServer(Connections):
    """Serves a witness until it is stopped. Make it inside a running loop."""

    def __init__(self, witness: Witness, looking: Looking) -> None:
        super().__init__(
            asyncio.get_running_loop(), in_flight=IN_FLIGHT, held_bytes=HELD_BYTES, connections=CONNECTIONS
        )
        self._witness = witness
        self._looking = looking
        self._of: Counter[str] = Counter()
        self._addresses: dict[Connection, str] = {}
        self.answers: dict[tuple[str, int], int] = {}
        """By listener and status."""

    async def open(self, name: str, settings: ListenSettings, home: Path) -> str:
        """Open a listener; the address that it has, HOST:PORT. Raises OSError, SettingsFaults."""
        host, _, port = settings.listen.rpartition(":")
        context = _tls(settings, home)
        server = await self.loop.create_server(
            lambda: Connection(self, name),
            host.strip("[]"),
            int(port),
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if context is not None else None,
            backlog=1_024,
        )
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return f"{host}:{bound[1]}"

    def may_connect(self, user: int, listener: str) -> bool:  # noqa: ARG002 - its connections have no user
        return False

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bool:
        """Whether there is room, over all and for this address."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        if self.connections >= CONNECTIONS or self.stopping or self._of[address] >= self._most_of(address):
            return False
        self._of[address] += 1
        self._addresses[connection] = address
        self._connections.add(connection)
        return True

    @staticmethod
    def _most_of(address: str) -> int:
        return CONNECTIONS if address in ("127.0.0.1", "::1") else CONNECTIONS_OF_ONE

    def forget(self, connection: Connection) -> None:
        super().forget(connection)
        address = self._addresses.pop(connection, None)
        if address is not None:
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def route(self, request: Request) -> int:
        """What is wrong with a request is kept for its turn; the largest body to take."""
        submits = request.path == ADD_CHECKPOINT
        if submits is not (request.listener == "submission"):
            request.refusal = UnknownPath("There is nothing at this path here.")
        elif submits and request.method != "POST":
            request.refusal = MethodNotAllowed("POST")
        elif not submits and request.method not in ("GET", "HEAD"):
            request.refusal = MethodNotAllowed("GET")
        return REQUEST_BYTES

    async def answer(self, request: Request) -> Response:
        """The answer to a request; raises nothing."""
        try:
            if request.refusal is not None:
                raise request.refusal
            if request.listener == "submission":
                lines = await self._witness.add_checkpoint(request.body)
                return Response(lines, _TEXT)
            return self._look(request)
        except OtherSize as error:
            return Response(b"%d\n" % error.size, _SIZE, error.status)
        except WitnessRefusal as error:
            headers = NO_STORE + (b"retry-after: 1\r\n" if error.retriable else b"")
            return Response(f"{error.title}: {error}\n".encode(), _TEXT, error.status, headers)
        except CinnabarError as error:
            return problem_response(error)
        except Exception:
            log.exception("request-failed", listener=request.listener)
            return problem_response(CinnabarError("The witness logged what happened."))

    def answered(self, request: Request, status: int) -> None:
        place = (request.listener, status)
        self.answers[place] = self.answers.get(place, 0) + 1

    def refuse(self, error: CinnabarError) -> Response:
        if isinstance(error, TooLarge):
            return Response(f"{error.title}.\n".encode(), _TEXT, error.status)
        return super().refuse(error)

    def _look(self, request: Request) -> Response:
        looking, path = self._looking, request.path
        language = language_of(request.query, request.headers.get(b"accept-language", b"").decode("latin-1"))
        if path == "/":
            return Response(index_page(looking.overview(), language), _HTML, headers=_PAGE_HEADERS)
        if path == "/logs.json":
            return Response(msgspec.json.encode(looking.overview()))
        if path == "/health":
            status = "unwritable" if self._witness.commits.failing else looking.overview().status
            return Response(msgspec.json.encode({"status": status}), status=200 if status == "sound" else 503)
        if path == "/metrics":
            return Response(metrics(self._witness, self.answers, self.connections), _TEXT)
        if found := _LOG.fullmatch(path):
            if found[2]:
                return Response(looking.checkpoint(found[1]), _TEXT)
            view, one = looking.log(found[1])
            page = log_page(view, one, looking.days(one.origin), language)
            return Response(page, _HTML, headers=_PAGE_HEADERS)
        if found := _FORK.fullmatch(path):
            return Response(looking.evidence(int(found[1])))
        raise NotFound("There is nothing at this path here.")


def _tls(settings: ListenSettings, home: Path) -> ssl.SSLContext | None:
    if settings.certificate is None or settings.key is None:
        return None
    certificate, key = home / settings.certificate, home / settings.key
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise SettingsFaults([f"{certificate} and {key} are not a certificate and its key: {reason}"]) from None
    return context


def addresses_of(settings: WitnessSettings) -> list[tuple[str, ListenSettings]]:
    """The listeners by name."""
    found = [("submission", settings.submission)]
    if settings.monitoring is not None:
        found.append(("monitoring", settings.monitoring))
    return found
