"""The TLS front's configuration: accepted by nginx itself, and passing on nothing that is not on the list."""

from __future__ import annotations

import re

from appliance.box.front import CERTIFICATE_HEADER, LISTENERS, PASSED_HEADERS, Listener, nginx_configuration
from appliance.box.settings import read_settings
from firmware_tests.running import RunningBox


def _configuration(box: RunningBox) -> str:
    listeners = [Listener(name, f"127.0.0.1:{9000 + number}") for number, name in enumerate(LISTENERS)]
    return nginx_configuration(box.home, read_settings(box.home.settings), listeners)


def test_only_listed_headers_pass(box: RunningBox) -> None:
    configuration = _configuration(box)
    assert configuration.count("proxy_pass_request_headers off;") == len(LISTENERS)
    passed = set(re.findall(r"proxy_set_header (\S+)", configuration))
    assert passed == {*PASSED_HEADERS, CERTIFICATE_HEADER, "Connection"}


def test_only_the_applications_listener_tells_a_certificate(box: RunningBox) -> None:
    servers = _configuration(box).split("    server {\n")[1:]
    telling = [server for server in servers if CERTIFICATE_HEADER in server]
    assert len(telling) == 1
    assert "ssl_verify_client on;" in telling[0]


def test_the_plain_listener_is_closed_to_other_networks(box: RunningBox) -> None:
    plain = [server for server in _configuration(box).split("    server {\n")[1:] if " ssl" not in server]
    assert all("deny all;" in server for server in plain)
