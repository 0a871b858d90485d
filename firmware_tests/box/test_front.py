"""The TLS front's configuration: accepted by nginx itself, and passing on nothing that is not on the list."""

from __future__ import annotations

import re
import resource
import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from appliance.box import process
from appliance.box.front import CERTIFICATE_HEADER, LISTENERS, NETWORK, PASSED_HEADERS, Listener, nginx_configuration
from appliance.box.settings import read_settings, write_settings
from firmware_tests.log.box import wait_for
from firmware_tests.running import RunningBox


def _configuration(box: RunningBox) -> str:
    listeners = [Listener(name, f"127.0.0.1:{9000 + number}") for number, name in enumerate(LISTENERS)]
    return nginx_configuration(box.home, read_settings(box.home.settings), listeners)


def test_only_listed_headers_pass(box: RunningBox) -> None:
    configuration = _configuration(box)
    assert configuration.count("proxy_pass_request_headers off;") == configuration.count("proxy_pass http")
    passed = set(re.findall(r"proxy_set_header (\S+)", configuration))
    assert passed == {*PASSED_HEADERS, CERTIFICATE_HEADER, "Connection"}


def test_only_the_applications_listener_tells_a_certificate(box: RunningBox) -> None:
    servers = _configuration(box).split("    server {\n")[1:]
    telling = [server for server in servers if CERTIFICATE_HEADER in server]
    assert len(telling) == 1
    assert "ssl_verify_client on;" in telling[0]


def test_the_plain_listener_is_closed_to_other_networks(box: RunningBox) -> None:
    plain = [server for server in _configuration(box).split("    server {\n")[1:] if " ssl" not in server]
    # CRLs and OCSP answers are signed, and meant for everybody.
    told = [server for server in plain if "http://revocation;" in server]
    assert len(told) == 1
    assert all("deny all;" in server for server in plain if server not in told)


def test_the_plain_listener_takes_a_password_from_other_networks(open_directory: Path) -> None:
    box = RunningBox(open_directory / "passwords")
    box.provision()
    password = secrets.token_urlsafe(12)
    hashed = subprocess.run(
        ("openssl", "passwd", "-5", "-stdin"), input=password, capture_output=True, text=True, check=True
    )
    (box.home.root / "tsa.passwords").write_text(f"branch:{hashed.stdout}")
    settings = read_settings(box.home.settings)
    front = msgspec.structs.replace(settings.front, tsa_networks=("203.0.113.0/24",), tsa_passwords="tsa.passwords")
    write_settings(box.home.settings, msgspec.structs.replace(settings, front=front))
    box.start("--tsa", "127.0.0.1:0")
    try:
        imprint = bytes.fromhex("3031300d060960864801650304020105000420") + bytes(32)
        query = b"\x30\x36\x02\x01\x01" + imprint
        url = f"http://{box.address('tsa')}/tsa/demo-tsu-rsa"
        headers = {"Content-Type": "application/timestamp-query"}
        assert httpx.post(url, content=query, headers=headers).status_code == 401
        assert httpx.post(url, content=query, headers=headers, auth=("branch", "wrong")).status_code == 401
        answer = httpx.post(url, content=query, headers=headers, auth=("branch", password))
        assert answer.status_code == 200
        assert len(answer.content) > 400
    finally:
        assert box.stop() == 0


def test_each_worker_can_be_asked_for_its_metrics(box: RunningBox) -> None:
    address = f"http://{box.address('metrics')}"
    for number in range(2):
        metrics = httpx.get(f"{address}/workers/{number}/metrics").text
        assert f'cinnabar_signatures_total{{worker="{number}"}}' in metrics
    assert httpx.get(f"{address}/workers/2/metrics").status_code == 404


@pytest.mark.parametrize("listener", ["public", "applications"])
def test_strangers_cannot_exhaust_what_applications_connect_through(box: RunningBox, listener: str) -> None:
    """One address begins thousands of handshakes and goes on with none."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 10_000), most))
    host, _, port = box.address(listener).rpartition(":")
    strangers = []
    try:
        for _ in range(min(6_000, most - 200)):
            stranger = socket.socket()
            stranger.settimeout(2)
            stranger.connect((host, int(port)))
            stranger.sendall(b"\x16\x03\x01")
            strangers.append(stranger)
        with box.http() as client:
            assert client.get("/health").status_code == 200
            assert client.post("/v1/stamps", json={"digest": "00" * 32}).status_code == 200
    finally:
        for stranger in strangers:
            stranger.close()


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_over_an_endpoints_limit_is_told_its_limit(box: RunningBox, announced: bool) -> None:
    """The worker refuses while the front is still sending: what it says arrives, every time."""
    limit = read_settings(box.home.settings).limits.json_request
    size = limit + (1 << 20)

    def pieces() -> Iterator[bytes]:
        yield from [bytes(1 << 16)] * (size >> 16)

    with box.http() as client:
        for _ in range(30):
            content = bytes(size) if announced else pieces()
            answer = client.post("/v1/stamps/bulk", content=content, headers={"content-type": "application/json"})
            assert answer.status_code == 413, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"].endswith(":too-large")
            assert str(limit) in answer.json()["detail"]


def test_a_body_over_every_limit_is_refused_by_the_front_in_the_same_words(box: RunningBox) -> None:
    size = read_settings(box.home.settings).limits.document * 2 + 1
    with box.http() as client:
        answer = client.post("/v1/stamps/bulk", content=bytes(size), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["type"].endswith(":too-large")


def test_all_addresses_of_a_site_share_its_limits(open_directory: Path) -> None:
    """nginx itself, told by a header whose requests it sees; one address in four holds bytes that end a line."""
    (open_directory / "nginx.conf").write_text(
        f"pid {open_directory}/pid; error_log {open_directory}/error.log; daemon off; events {{}}\n"
        f"http {{ access_log off; set_real_ip_from unix:; real_ip_header X-From; {NETWORK}"
        "limit_req_zone $client_network zone=one:1m rate=1r/m; limit_req_status 429;\n"
        f"server {{ listen unix:{open_directory}/back; return 204; }}\n"
        f"server {{ listen unix:{open_directory}/front; limit_req zone=one;"
        f" location / {{ proxy_pass http://unix:{open_directory}/back; }} }} }}\n"
    )
    asked = {
        "2001:db8:1:2::1": 204, "2001:db8:1:2:ffff::9": 429, "2001:db8:1:3::1": 204,
        "2001:db8:a0a:a0a:a0a::1": 204, "2001:db8:a0a:a0a::2": 429, "192.0.2.1": 204, "192.0.2.2": 204,
    }  # fmt: skip
    with subprocess.Popen(
        [process.nginx(), "-c", str(open_directory / "nginx.conf"), "-p", str(open_directory)]
    ) as nginx:
        try:
            transport = httpx.HTTPTransport(uds=str(open_directory / "front"), retries=5)
            with httpx.Client(transport=transport, base_url="http://front") as client:
                wait_for((open_directory / "front").exists, "nginx listens")
                told = {address: client.get("/", headers={"X-From": address}).status_code for address in asked}
        finally:
            nginx.terminate()
    assert told == asked


def test_limits_go_by_sites_on_every_front(box: RunningBox) -> None:
    assert set(re.findall(r"limit_(?:req|conn)_zone (\S+)", _configuration(box))) == {
        "$client_network", "$ssl_client_fingerprint"
    }  # fmt: skip
