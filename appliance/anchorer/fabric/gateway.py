"""The Gateway service of a Fabric peer: a thin client over gRPC, on the packaged definitions.

What is sent was signed by the log follower; this only carries it. Nothing is repeated behind the caller's back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from fabric_protos.common.common_pb2 import Envelope
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.peer.proposal_pb2 import SignedProposal
from google.protobuf.message import DecodeError

from appliance.anchorer.fabric.troubles import details
from appliance.anchorer.ledger import LedgerUnavailable
from appliance.box.ledgers.fabric import FabricGateway

ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Largest answer that is read: a block."""
_REFUSALS: Final = frozenset(
    (
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        # a peer's chaincode that answers with an error
        grpc.StatusCode.UNKNOWN,
    )
)


class GatewayAway(LedgerUnavailable):
    """It does not answer, or not in time: what was asked may have been done."""


class GatewayRefuses(LedgerUnavailable):
    """It answers, and does not do it."""


@dataclass(frozen=True)
class CommitStatus:
    """What a Gateway says became of a transaction."""

    code: int
    """protos.TxValidationCode; 0: valid."""
    name: str
    block: int


class Gateway:
    """One peer's Gateway. A connection for each call, as anchors are rare."""

    def __init__(self, settings: FabricGateway, home: Path) -> None:
        self.address = settings.address
        self._settings = settings
        self._home = home

    async def endorse(
        self, channel: str, transaction: str, proposal: bytes, organisations: list[str], timeout_s: float
    ) -> bytes:
        """Have a SignedProposal endorsed: the payload of the prepared Envelope. Raises GatewayAway, GatewayRefuses."""
        request = gateway_pb2.EndorseRequest(
            channel_id=channel,
            transaction_id=transaction,
            proposed_transaction=SignedProposal.FromString(proposal),
            endorsing_organizations=organisations,
        )
        answer = await self._call("Endorse", request, timeout_s)
        payload: bytes = answer.prepared_transaction.payload
        return payload

    async def submit(self, channel: str, transaction: str, envelope: bytes, timeout_s: float) -> None:
        """Hand an Envelope to the orderers. Raises GatewayAway, GatewayRefuses: it may be ordered all the same."""
        request = gateway_pb2.SubmitRequest(
            channel_id=channel, transaction_id=transaction, prepared_transaction=Envelope.FromString(envelope)
        )
        await self._call("Submit", request, timeout_s)

    async def commit_status(self, signed: bytes, timeout_s: float) -> CommitStatus | None:
        """What became of the transaction that a SignedCommitStatusRequest is about; None: nothing in that time.
        Raises GatewayAway, GatewayRefuses."""
        request = gateway_pb2.SignedCommitStatusRequest.FromString(signed)
        answer = await self._call("CommitStatus", request, timeout_s, patient=True)
        if answer is None:
            return None
        names = gateway_pb2.CommitStatusResponse.DESCRIPTOR.fields_by_name["result"].enum_type.values_by_number
        name = names[answer.result].name if answer.result in names else str(answer.result)
        return CommitStatus(answer.result, name, answer.block_number)

    async def evaluate(self, channel: str, transaction: str, proposal: bytes, timeout_s: float) -> bytes:
        """What a query, a SignedProposal, answers. Raises GatewayAway, GatewayRefuses."""
        request = gateway_pb2.EvaluateRequest(
            channel_id=channel,
            transaction_id=transaction,
            proposed_transaction=SignedProposal.FromString(proposal),
        )
        answer = await self._call("Evaluate", request, timeout_s)
        payload: bytes = answer.result.payload
        return payload

    async def _call(self, method: str, request: Any, timeout_s: float, *, patient: bool = False) -> Any:
        """One call. `patient`: that the time passes is an answer, None."""
        try:
            async with self._channel() as channel:
                stub = gateway_pb2_grpc.GatewayStub(channel)
                return await getattr(stub, method)(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            code = error.code()
            if patient and code is grpc.StatusCode.DEADLINE_EXCEEDED:
                return None
            kind = GatewayRefuses if code in _REFUSALS else GatewayAway
            raise kind(f"{self.address}: {method}: {code.name}: {details(error)}") from None
        except (OSError, ValueError, DecodeError) as error:
            raise GatewayAway(f"{self.address}: {method}: {type(error).__name__}") from None

    def _channel(self) -> Any:
        credentials = grpc.ssl_channel_credentials((self._home / self._settings.ca).read_bytes())
        options: list[tuple[str, Any]] = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            ("grpc.max_receive_message_length", ANSWER_BYTES),
        ]
        if self._settings.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self._settings.server_name))
        return grpc.aio.secure_channel(self.address, credentials, options=options)
