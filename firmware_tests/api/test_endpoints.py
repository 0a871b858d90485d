"""Every endpoint of the table: who may ask, what it takes, how large, in which states. Made from the table itself."""

from __future__ import annotations

import json
import socket

import pytest

from appliance.api.endpoints import Endpoint
from appliance.api.openapi import errors_of
from appliance.api.table import ENDPOINTS
from appliance.box.states import STATES, State, permits

APPLICATION = [endpoint for endpoint in ENDPOINTS if "applications" in endpoint.listeners]
KNOWN = [endpoint for endpoint in APPLICATION if endpoint.needs_caller]


def path_of(endpoint: Endpoint) -> str:
    return endpoint.path.format(**{parameter.name: parameter.example for parameter in endpoint.parameters})


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def media_of(endpoint: Endpoint) -> dict[str, str]:
    return {"Content-Type": endpoint.takes[0].media_type} if endpoint.takes else {}


def body_of(endpoint: Endpoint) -> bytes | None:
    return b"{}" if endpoint.takes else None


def problem(reply) -> dict[str, object]:
    assert reply.headers["content-type"] == "application/problem+json"
    found = reply.json()
    assert found["status"] == reply.status
    assert found["type"].startswith("urn:cinnabar:problem:")
    assert found["retriable"] is ("retry-after" in reply.headers)
    return found


@pytest.mark.parametrize("endpoint", KNOWN, ids=name_of)
@pytest.mark.parametrize(
    "header", [None, "", "nonsense", "-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----%0A"]
)
def test_strangers_are_not_answered(box, endpoint: Endpoint, header: str | None) -> None:
    headers = media_of(endpoint) | ({} if header is None else {"X-Cinnabar-Client-Certificate": header})
    reply = box.request(endpoint.method, path_of(endpoint), body_of(endpoint), caller=None, headers=headers)
    assert reply.status in (400, 401)
    assert problem(reply)["type"].rpartition(":")[2] in ("unknown-caller", "bad-certificate-header")


@pytest.mark.parametrize("endpoint", APPLICATION, ids=name_of)
def test_other_methods_are_told_which_there_are(box, endpoint: Endpoint) -> None:
    reply = box.request("PATCH", path_of(endpoint))
    assert problem(reply)["status"] == 405
    assert endpoint.method in reply.headers["allow"]


@pytest.mark.parametrize("endpoint", [one for one in KNOWN if one.takes], ids=name_of)
def test_bodies_of_other_kinds_are_refused(box, endpoint: Endpoint) -> None:
    reply = box.request(endpoint.method, path_of(endpoint), b"x", headers={"Content-Type": "text/html"})
    assert problem(reply)["status"] == 415
    assert problem(box.request(endpoint.method, path_of(endpoint), b"x"))["status"] == 415


JSON_ENDPOINTS = [one for one in KNOWN if any(body.schema for body in one.takes)]


@pytest.mark.parametrize("endpoint", JSON_ENDPOINTS, ids=name_of)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"no-such-member": 1}', 422),
        (b"[" * 100_000, 400),
        (b'{"digest": 5, "digests": 5, "files": 5, "level": 5, "key": 5}', 422),
    ],
    ids=["empty", "cut", "not-utf8", "list", "null", "unknown", "deep", "types"],
)
def test_bad_json_names_the_member(box, endpoint: Endpoint, body: bytes, status: int) -> None:
    reply = box.request(endpoint.method, path_of(endpoint), body, headers={"Content-Type": "application/json"})
    if len(body) > endpoint.limit(box.settings.limits):
        status = 413
    found = problem(reply)
    assert reply.status in (status, 422 if body.startswith(b"[[") else status)
    if b'"digest"' in body:
        assert "`" in str(found["detail"])


@pytest.mark.parametrize("endpoint", [one for one in KNOWN if one.takes], ids=name_of)
def test_announced_bodies_over_the_limit_are_refused_unread(box, endpoint: Endpoint) -> None:
    limit = endpoint.limit(box.settings.limits)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(box.socket()))
    connection.sendall(
        f"{endpoint.method} {path_of(endpoint)} HTTP/1.1\r\nHost: x\r\nContent-Length: {limit + 1}\r\n\r\n".encode()
    )
    answer = connection.recv(4096)
    connection.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


@pytest.mark.parametrize("state", list(State), ids=lambda state: state.label)
def test_states_allow_what_their_table_says(box, state: State) -> None:
    box.set_state(state)
    try:
        for endpoint in KNOWN:
            reply = box.request(endpoint.method, path_of(endpoint), body_of(endpoint), headers=media_of(endpoint))
            forbidden = reply.status == 503 and reply.json()["type"].endswith(":state-forbids")
            assert forbidden is not permits(state, endpoint.work), (name_of(endpoint), reply)
        assert box.request("GET", "/health").json()["state"] == state.label
    finally:
        box.set_state(State.OPERATIONAL)


def test_listeners_answer_their_own_endpoints_alone(box) -> None:
    """A header with a good certificate makes no difference to which listener it is."""
    for listener in ("tsa", "public", "metrics"):
        for endpoint in ENDPOINTS:
            if listener in endpoint.listeners:
                continue
            reply = box.request(
                endpoint.method, path_of(endpoint), body_of(endpoint), listener=listener, headers=media_of(endpoint)
            )
            assert reply.status == 404, (listener, name_of(endpoint))


def test_the_description_is_whole(box) -> None:
    document = box.request("GET", "/v1/openapi.json", caller=None).json()
    assert document["openapi"] == "3.1.0"
    for endpoint in APPLICATION:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        assert {str(error.status) for error in errors_of(endpoint)} <= set(operation["responses"])
    assert len({operation["operationId"] for path in document["paths"].values() for operation in path.values()}) == len(
        APPLICATION
    )
    json.dumps(document)
    assert set(STATES) == set(State)
