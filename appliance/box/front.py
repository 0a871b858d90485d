"""The TLS front: nginx's configuration, made from the box's settings.

nginx ends TLS, checks client certificates against the box's CA, speaks HTTP/2 outward, and passes on an explicit list
of headers and nothing else, so that no header a client sends can be taken for one of ours (control CHANNEL). Which
listener a request came in by is told by the worker's socket that it is passed to, not by a header.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from appliance.api.errors import TooLarge, TooManyRequests
from appliance.api.letters.public_pages import too_often_page
from appliance.box.home import Home
from appliance.box.open_files import allowed_files, connections_for
from appliance.box.settings import BoxSettings
from appliance.calls.problems import problem_of
from appliance.errors import CinnabarError

CONNECTIONS_AN_ADDRESS = 512
"""Connections with a request under way that one address may have at one front."""
NETWORK = 'map $binary_remote_addr $client_network { default $binary_remote_addr; "~(?s)^(?<net>.{8}).{8}\\z" $net; }\n'
"""What limits go by: an IPv4 address, or the first 64 bits of an IPv6 address: one site has those below (RFC 6177)."""
IDLE_SECONDS = 2
"""How long the front keeps an idle connection to a worker."""
CERTIFICATE_HEADER = "X-Cinnabar-Client-Certificate"

# What an application may say to a worker. Everything else stops at the front.
PASSED_HEADERS = (
    "Accept",
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Host",
    "Idempotency-Key",
    "Prefer",
    "Range",
)

# One nginx each: whoever exhausts the one that strangers may reach takes nothing from applications (control CHANNEL).
FRONTS = {
    "front": ("applications",),
    "open-front": ("tsa", "public", "revocation", "metrics"),
    "management-front": ("management",),
}
LISTENERS = ("applications", "tsa", "public", "revocation", "metrics")
ENROLMENT_PATH = "/.well-known/est/"
CHECK_PATHS = ("= /", "/letters/", "/v1/check")
"""Where anybody checks a letter, as nginx names locations."""
FILE_PATHS = ("/letters/file", "/v1/check/file")
"""Where anybody has a file looked up."""
_PROBLEM: Final = "application/problem+json"
RENEWAL_PATH = f"{ENROLMENT_PATH}simplereenroll"


@dataclass(frozen=True)
class Listener:
    """One address of the front."""

    name: str
    address: str
    """HOST:PORT as bound."""


def listener_addresses(settings: BoxSettings) -> dict[str, str]:
    """The listeners that are on, by name, with their configured addresses."""
    front = settings.front
    configured = {
        "applications": front.applications,
        "tsa": front.tsa,
        "public": front.public,
        "revocation": front.revocation,
        "metrics": front.metrics,
        "management": front.management,
    }
    return {name: address for name, address in configured.items() if address is not None}


def upstream(home: Home, name: str, workers: int) -> str:
    """The workers' sockets of one listener, as nginx shares requests out among them."""
    servers = "\n".join(
        f"        server unix:{home.worker_socket(number, name)} max_fails=0;" for number in range(workers)
    )
    # Idle connections are closed from here, and soon: a worker that another one replaces waits for that.
    kept = f"        keepalive 128;\n        keepalive_timeout {IDLE_SECONDS}s;\n"
    return f"    upstream {name} {{\n        least_conn;\n{servers}\n{kept}    }}\n"


def _proxy(name: str, passed: Mapping[str, str], where: str = "/", limits: str = "") -> str:
    headers = "".join(f'            proxy_set_header {header} "{value}";\n' for header, value in passed.items())
    return (
        f"        location {where} {{\n"
        f"{limits}"
        "            proxy_pass_request_headers off;\n"
        f"{headers}"
        '            proxy_set_header Connection "";\n'
        "            proxy_http_version 1.1;\n"
        f"            proxy_pass http://{name};\n"
        "        }\n"
    )


def _passed() -> dict[str, str]:
    return {header: f"$http_{header.lower().replace('-', '_')}" for header in PASSED_HEADERS}


def _server(listener: Listener, home: Home, settings: BoxSettings) -> str:
    tls = (
        f"        ssl_certificate {home.front / 'server.crt'};\n"
        f"        ssl_certificate_key {home.front / 'server.key'};\n"
    )
    passed = _passed()
    if listener.name == "applications":
        opening = f"        listen {listener.address} ssl http2;\n{tls}"
        opening += f"        ssl_client_certificate {home.trust / 'box-ca.pem'};\n        ssl_verify_client on;\n"
        passed[CERTIFICATE_HEADER] = "$ssl_client_escaped_cert"
    elif listener.name == "tsa":
        # RFC 3161 clients seldom speak TLS; the token carries its own signature (RFC 3161, section 3.4).
        networks = "".join(f"        allow {network};\n" for network in settings.front.tsa_networks)
        opening = f"        listen {listener.address};\n{networks}        deny all;\n"
        if settings.front.tsa_passwords is not None:
            passwords = home.root / settings.front.tsa_passwords
            opening += (
                f'        satisfy any;\n        auth_basic "time-stamps";\n        auth_basic_user_file {passwords};\n'
            )
    elif listener.name == "revocation":
        # What is asked here is signed already; TLS would need the very answer (RFC 5280, section 8; RFC 6960, 5).
        opening = f"        listen {listener.address};\n        limit_req zone=public burst=200 nodelay;\n"
    elif listener.name == "metrics":
        opening = (
            f"        listen {listener.address};\n        allow 127.0.0.0/8;\n        allow ::1;\n        deny all;\n"
        )
    else:
        opening = (
            f"        listen {listener.address} ssl http2;\n{tls}        limit_req zone=public burst=200 nodelay;\n"
        )
    one_by_one = "".join(
        # A worker counts for itself: whoever collects asks each of them.
        f"        location /workers/{number}/ {{\n"
        "            proxy_pass_request_headers off;\n"
        f"            proxy_pass http://unix:{home.worker_socket(number, listener.name)}:/;\n"
        "        }\n"
        for number in range(settings.workers if listener.name == "metrics" else 0)
    )
    enrolment = ""
    if listener.name == "public":
        enrolment = _proxy(listener.name, passed, ENROLMENT_PATH, _enrolment_limits("enrolment"))
        for path in CHECK_PATHS:
            enrolment += _proxy(listener.name, passed, path, _CHECK_LIMITS + _pages_below(path))
        for path in FILE_PATHS:
            enrolment += _proxy(listener.name, passed, path, _FILE_LIMITS + _pages_below(path))
    elif listener.name == "applications":
        enrolment = _proxy(listener.name, passed, RENEWAL_PATH, _enrolment_limits("renewal"))
    return (
        f"    server {{\n{opening}        client_max_body_size {settings.limits.document * 2};\n"
        f"{one_by_one}{enrolment}{_proxy(listener.name, passed)}{_refusals(settings.rehearsal)}    }}\n"
    )


RETRY_AFTER_SECONDS: Final = 1
"""When the front takes one more of whoever asked too often: the slowest of its limits lets one a second through."""
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}
_TOO_LARGE: Final = TooLarge("The body is larger than anything that this address takes.")
_TOO_MANY: Final = TooManyRequests("Ask again when Retry-After says, and then more seldom.")


def _refusals(rehearsal: bool) -> str:
    """What the front refuses by itself, in the words in which a worker would."""
    many = {"Retry-After": str(RETRY_AFTER_SECONDS), "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return (
        "        error_page 413 @too-large;\n"
        "        error_page 429 @too-many;\n"
        + _said("@too-large", 413, _PROBLEM, _problem(_TOO_LARGE), {})
        + _said("@too-many", 429, _PROBLEM, _problem(_TOO_MANY), many)
        + _said("@too-many-page", 429, "text/html; charset=utf-8", too_often_page(rehearsal), many | _PAGE_HEADERS)
    )


def _pages_below(path: str) -> str:
    """For locations where people look: a page in place of a problem."""
    if path.startswith("/v1/"):
        return ""
    return "            error_page 413 @too-large;\n            error_page 429 @too-many-page;\n"


def _said(location: str, status: int, media_type: str, body: bytes, headers: Mapping[str, str]) -> str:
    added = "".join(f"            add_header {name} {_quoted(value)} always;\n" for name, value in headers.items())
    return (
        f"        location {location} {{\n"
        "            internal;\n"
        "            types { }\n"
        f"            default_type {_quoted(media_type)};\n"
        f"{added}"
        f"            return {status} {_quoted(body.decode())};\n"
        "        }\n"
    )


def _problem(error: CinnabarError) -> bytes:
    return msgspec.json.encode(problem_of(error))


def _quoted(text: str) -> str:
    """A text of ours, without a dollar sign, which nginx would take for a variable's."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_CHECK_LIMITS = "            limit_req zone=checks burst=20 nodelay;\n            client_max_body_size 4k;\n"
"""Whoever holds a letter checks it a few times, not for hours."""
_FILE_LIMITS = "            limit_req zone=files burst=10 nodelay;\n            client_max_body_size 4m;\n"


def _enrolment_limits(zone: str) -> str:
    """Each request makes the keymaster work: far fewer of them than of what is only read."""
    return f"            limit_req zone={zone} burst=20 nodelay;\n            client_max_body_size 16k;\n"


def nginx_configuration(home: Home, settings: BoxSettings, listeners: Iterable[Listener], name: str = "front") -> str:
    """The whole configuration of one of FRONTS. Paths under the home hold no white space, quotes or semicolons."""
    listeners = list(listeners)
    upstreams = "".join(upstream(home, listener.name, settings.workers) for listener in listeners)
    servers = "".join(_server(listener, home, settings) for listener in listeners)
    return configuration(home, name, f"{upstreams}{servers}")


def configuration(home: Home, name: str, servers: str) -> str:
    """What every front has around its servers."""
    scratch = home.front / f"scratch-{name}"
    files = allowed_files()  # nginx that asks for more than it may have says so at every start, and goes on without
    temporary = "".join(
        f"    {kind}_temp_path {scratch / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        "# Made by the box at every start from box.json: changes here are lost.\n"
        "daemon off;\n"
        "worker_processes 2;\n"
        f"worker_rlimit_nofile {files};\n"
        f"pid {pid_file(home, name)};\n"
        "error_log stderr error;\n"
        f"events {{\n    worker_connections {connections_for(files)};\n}}\n"
        "http {\n"
        "    access_log off;\n"
        "    server_tokens off;\n"
        f"{temporary}"
        "    default_type application/octet-stream;\n"
        "    keepalive_requests 1000000;\n"
        "    keepalive_timeout 75s;\n"
        "    client_header_timeout 5s;\n"
        "    client_body_timeout 15s;\n"
        "    send_timeout 30s;\n"
        "    client_body_buffer_size 64k;\n"
        "    large_client_header_buffers 4 16k;\n"
        "    proxy_connect_timeout 5s;\n"
        "    proxy_read_timeout 120s;\n"
        "    proxy_buffers 8 64k;\n"
        "    proxy_buffer_size 64k;\n"
        # An answer waits in memory, never in a file: it may hold what the box keeps encrypted.
        "    proxy_max_temp_file_size 0;\n"
        "    proxy_next_upstream error;\n"
        f"    {NETWORK}"
        "    limit_conn_zone $client_network zone=connections:2m;\n"
        f"    limit_conn connections {CONNECTIONS_AN_ADDRESS};\n"
        "    limit_conn_status 429;\n"
        "    limit_req_status 429;\n"
        "    limit_req_zone $client_network zone=public:4m rate=100r/s;\n"
        "    limit_req_zone $client_network zone=enrolment:1m rate=2r/s;\n"
        "    limit_req_zone $client_network zone=checks:1m rate=2r/s;\n"
        "    limit_req_zone $client_network zone=files:1m rate=1r/s;\n"
        "    limit_req_zone $ssl_client_fingerprint zone=renewal:1m rate=2r/s;\n"
        "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        "    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;\n"
        "    ssl_session_cache shared:tls:8m;\n"
        "    ssl_session_tickets off;\n"
        f"{servers}"
        "}\n"
    )


def pid_file(home: Home, name: str) -> Path:
    """Where the nginx of one of FRONTS says that it is up."""
    return home.front / f"{name}.pid"
