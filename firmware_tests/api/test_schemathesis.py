"""schemathesis against the OpenAPI document of the worker: no request that it makes breaks the worker or its word."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

# Verification and enrolment are done by processes that this small box does not have: they have tests of their own.
LEFT_OUT = ("/v1/verify", "/.well-known/est/simpleenroll", "/.well-known/est/simplereenroll")


@schemathesis.serializer(
    "application/timestamp-query", "application/vnd.cinnabar.digests", "application/pkcs10", "application/ocsp-request"
)
def _as_bytes(_: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@pytest.fixture(scope="session")
def tcp_address(box) -> Iterator[str]:
    """A TCP port on loopback in front of the worker's unix socket: schemathesis speaks TCP only."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(path: Path) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                worker = socket.socket(socket.AF_UNIX)
                worker.connect(str(path))
                for pair in ((client, worker), (worker, client)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, args=(box.socket(),), daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def _check(operation: object, headers: dict[str, str]) -> None:
    @given(operation.as_strategy())
    @settings(max_examples=12, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        response = case.call(headers=headers)
        case.validate_response(
            response, checks=[not_a_server_error, content_type_conformance, response_schema_conformance]
        )

    check()


def test_the_document_keeps_its_promises(box, tcp_address: str) -> None:
    document = box.request("GET", "/v1/openapi.json", caller=None).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=tcp_address)
    operations = [result.ok() for result in schema.get_all_operations()]
    headers = {"X-Cinnabar-Client-Certificate": box.certificate("demo-app")}
    asked = [operation for operation in operations if operation.path not in LEFT_OUT]
    assert len(asked) > 10
    for operation in asked:
        _check(operation, headers)
    assert json.dumps(document)
    assert box.request("GET", "/health").json()["ready"] is True
