"""What a Gateway says when it refuses: told in its words, whatever they are; and who needs gRPC at all."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchorer.fabric.troubles import MOST_CHARACTERS, AnyMessage, ErrorDetail, RpcStatus, details


class Refusal:
    """As grpc.aio.AioRpcError."""

    def __init__(self, text: str | None, metadata: tuple[tuple[str, bytes], ...] | None) -> None:
        self._text, self._metadata = text, metadata

    def details(self) -> str | None:
        return self._text

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...] | None:
        return self._metadata


def told(message: str, kind: str = "type.googleapis.com/gateway.ErrorDetail") -> bytes:
    one = ErrorDetail("peer0.org1:7051", "Org1MSP", message).encode()
    return RpcStatus(10, "refused", (AnyMessage(kind, one),)).encode()


def test_each_peers_word_is_told() -> None:
    refusal = Refusal("refused", (("x", b""), ("grpc-status-details-bin", told("no such function"))))
    assert details(refusal) == "refused; Org1MSP peer0.org1:7051: no such function"


@pytest.mark.parametrize(
    "metadata", [None, (), (("grpc-status-details-bin", b"\xff"),), (("grpc-status-details-bin", told("a", "other")),)]
)
def test_where_nothing_more_is_said_the_status_stands_alone(metadata: tuple[tuple[str, bytes], ...] | None) -> None:
    assert details(Refusal("refused", metadata)) == "refused"
    assert details(Refusal(None, metadata)) == ""


@given(st.text(), st.text(st.characters(exclude_categories=["Cs"])) | st.binary())
def test_whatever_it_says_is_short_and_of_one_line(text: str, more: str | bytes) -> None:
    encoded = told(more) if isinstance(more, str) else more
    found = details(Refusal(text, (("grpc-status-details-bin", encoded),)))
    assert len(found) <= MOST_CHARACTERS
    assert found.isprintable()


def test_neither_the_verifier_nor_the_log_follower_loads_grpc_or_the_packaged_definitions() -> None:
    program = (
        "import sys, appliance.anchors.fabric.judge, appliance.log.ledgers, appliance.log.ledger_desk, "
        "appliance.anchorer.ledgers; "
        "print([one for one in sys.modules if one.partition('.')[0] in ('grpc', 'fabric_protos', 'google')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout.strip() == "[]"
