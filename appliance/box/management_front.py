"""The management front: officers' pages under the box's management name, the keymaster's own under `approve.` of it.

The two names are two origins: what approves is served by the keymaster alone, and nothing the management service
sends can run there. Any other name is led to the first, so that a passkey is never asked for under an IP address.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from appliance.box.front import Listener, configuration, nginx_configuration, upstream
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.files import owner_of, write_durably

MANAGEMENT_FRONT = "management-front"
ADDRESS_HEADER = "X-Cinnabar-Address"
"""Tells the service the peer's IP address; set by the front, whatever the peer sent."""
DRAFTS = "approvals"
"""The workers' sockets that answer for drafts of letters: they open what the keymaster does not."""
DRAFT_PATH = "/api/drafts/"
LARGEST_BODY = 16 * 1024 * 1024
"""Bytes; certificates, forms and small files."""
LARGEST_STATEMENT = 256 * 1024
"""Bytes; what the approval pages take. Refused here, so that the keymaster hangs up on nobody in mid-sentence."""

PASSED_HEADERS = (
    "Accept",
    "Accept-Language",
    "Content-Type",
    "Cookie",
    "Host",
    "If-None-Match",
    "Origin",
    "Range",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "X-CSRF-Token",
)

HSTS = '        add_header Strict-Transport-Security "max-age=63072000; includeSubDomains" always;\n'
_DOWN = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Please wait</title>"
    "<h1>This part of the box is not up</h1><p>Signing is not affected. Wait a moment and load the page again; if it "
    "stays so, look at the box&#39;s console.</p><h1 lang=zh-Hans>设备的这一部分尚未就绪</h1>"
    "<p lang=zh-Hans>签名服务不受影响。请稍候再重新加载；如仍如此，请查看设备控制台。</p></html>"
)


def approval_name(settings: BoxSettings) -> str:
    """The name of the approval origin."""
    return f"approve.{settings.front.management_name}"


def management_origin(home: Home, settings: BoxSettings) -> str:
    """Where browsers find the management service: its name, and the port that is bound, else the configured one."""
    return _origin(home, settings, settings.front.management_name)


def approval_origin(home: Home, settings: BoxSettings) -> str:
    """Where browsers find the keymaster's own pages."""
    return _origin(home, settings, approval_name(settings))


def _origin(home: Home, settings: BoxSettings, name: str) -> str:
    address = settings.front.management or ""
    try:
        bound = msgspec.json.decode(home.addresses.read_bytes(), type=dict[str, str | None])
        address = bound.get("management") or address
    except (OSError, msgspec.MsgspecError):
        pass  # not up yet, or without the management front
    port = address.rpartition(":")[2]
    return f"https://{name}" + (f":{port}" if port not in {"", "0", "443"} else "")


def management_configuration(home: Home, settings: BoxSettings, listener: Listener) -> str:
    """The whole configuration of the management front."""
    name = settings.front.management_name
    servers = (
        _elsewhere(home, listener, name)
        + _server(home, listener, name, home.management_socket, LARGEST_BODY)
        + _server(home, listener, approval_name(settings), home.approve_socket, LARGEST_STATEMENT, {DRAFT_PATH: DRAFTS})
    )
    drafts = upstream(home, DRAFTS, settings.workers)
    zones = f"{drafts}    limit_req_zone $client_network zone=people:4m rate=50r/s;\n"
    return configuration(home, MANAGEMENT_FRONT, zones + servers)


def _tls(home: Home) -> str:
    return (
        f"        ssl_certificate {home.front / 'server.crt'};\n"
        f"        ssl_certificate_key {home.front / 'server.key'};\n"
        f"{HSTS}"
    )


def _elsewhere(home: Home, listener: Listener, name: str) -> str:
    return (
        "    server {\n"
        f"        listen {listener.address} ssl http2 default_server;\n{_tls(home)}"
        f"        return 308 https://{name}:$server_port/;\n"
        "    }\n"
    )


def _server(
    home: Home, listener: Listener, name: str, socket: Path, largest: int, elsewhere: Mapping[str, str] | None = None
) -> str:
    """`elsewhere`: paths that another upstream answers."""
    passed: Mapping[str, str] = {header: f"$http_{header.lower().replace('-', '_')}" for header in PASSED_HEADERS}
    headers = "".join(f'            proxy_set_header {header} "{value}";\n' for header, value in passed.items())
    targets = {"/": f"unix:{socket}"} | dict(elsewhere or {})
    locations = "".join(
        f"        location {where} {{\n"
        "            proxy_pass_request_headers off;\n"
        f"{headers}"
        f"            proxy_set_header {ADDRESS_HEADER} $remote_addr;\n"
        '            proxy_set_header Connection "";\n'
        "            proxy_http_version 1.1;\n"
        f"            proxy_pass http://{target};\n"
        "        }\n"
        for where, target in targets.items()
    )
    return (
        "    server {\n"
        f"        listen {listener.address} ssl http2;\n        server_name {name};\n{_tls(home)}"
        f"        client_max_body_size {largest};\n"
        "        limit_req zone=people burst=200 nodelay;\n"
        "        error_page 502 504 =503 @down;\n"
        f"{locations}"
        "        location @down {\n"
        "            default_type text/html;\n"
        f"    {HSTS}"
        "            add_header Retry-After 5 always;\n"
        "            add_header Cache-Control no-store always;\n"
        "            add_header X-Content-Type-Options nosniff always;\n"
        "            add_header Content-Security-Policy \"default-src 'none'; frame-ancestors 'none'\" always;\n"
        f'            return 503 "{_DOWN}";\n'
        "        }\n"
        "    }\n"
    )


def write_front(home: Home, settings: BoxSettings, listeners: Iterable[Listener], name: str) -> Path:
    """Write the configuration of one of FRONTS and the directories that it needs; return its path."""
    (home.front / f"scratch-{name}").mkdir(parents=True, exist_ok=True)
    path = home.front / f"{name}.conf"
    listeners = list(listeners)
    if name == MANAGEMENT_FRONT:
        made = management_configuration(home, settings, listeners[0])
    else:
        made = nginx_configuration(home, settings, listeners, name)
    # The directory is the front's user's: what it has put there is neither written through nor waited for.
    write_durably(path, made.encode(), owner_of(home.front) if os.geteuid() == 0 else None)
    return path
