"""The Gateway of a peer over real gRPC and TLS, in front of the tests' channel, with faults on command."""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2

from appliance.anchorer.fabric.troubles import AnyMessage, ErrorDetail, RpcStatus
from firmware_tests.anchors.fabric.network import Network, Refused

WORKERS = 16
Lie = Callable[[Any], Any]


class Gateway(gateway_pb2_grpc.GatewayServicer):
    """What a peer's Gateway does, in the published protocol's terms."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.calls: list[str] = []
        self.submitted: list[common_pb2.Envelope] = []
        self.before: dict[str, Callable[[Any], None]] = {}
        """By method: called with the context before anything is done."""
        self.after: dict[str, Callable[[Any], None]] = {}
        """By method: called with the context when all is done and nothing is answered yet."""
        self.lies: dict[str, Lie] = {}
        """By method: gives what is answered in place of the true answer."""
        self.instead: dict[str, Any] = {}
        """By method: what is answered, with nothing done."""
        self.ordering = True
        """Whether what is submitted is put into a block at once."""
        self.closed = threading.Event()

    def _call(self, method: str, context: Any, do: Callable[[], Any]) -> Any:
        self.calls.append(method)
        if method in self.before:
            self.before[method](context)
        if method in self.instead:
            return self.instead[method]
        answer = do()
        if method in self.after:
            self.after[method](context)
        return self.lies[method](answer) if method in self.lies else answer

    def Endorse(self, request: Any, context: Any) -> Any:
        return self._call("Endorse", context, lambda: self._endorse(request, context))

    def Submit(self, request: Any, context: Any) -> Any:
        return self._call("Submit", context, lambda: self._submit(request, context))

    def CommitStatus(self, request: Any, context: Any) -> Any:
        return self._call("CommitStatus", context, lambda: self._commit_status(request, context))

    def Evaluate(self, request: Any, context: Any) -> Any:
        return self._call("Evaluate", context, lambda: self._evaluate(request, context))

    def _endorse(self, request: Any, context: Any) -> Any:
        signed = request.proposed_transaction
        try:
            payload, _ = self.network.run(signed)
        except Refused as error:
            self._abort(context, "failed to collect enough transaction endorsements, see attached details", str(error))
        wanted = set(request.endorsing_organizations)
        peers = [one for one in self.network.peers if not wanted or one.msp in wanted]
        proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
        action = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=proposal.payload,
            action=transaction_pb2.ChaincodeEndorsedAction(
                proposal_response_payload=payload, endorsements=self.network.endorse(payload, peers)
            ),
        )
        header = common_pb2.Header.FromString(proposal.header)
        transaction = transaction_pb2.Transaction(
            actions=[
                transaction_pb2.TransactionAction(header=header.signature_header, payload=action.SerializeToString())
            ]
        )
        prepared = common_pb2.Payload(header=header, data=transaction.SerializeToString())
        envelope = common_pb2.Envelope(payload=prepared.SerializeToString())
        return gateway_pb2.EndorseResponse(prepared_transaction=envelope)

    def _submit(self, request: Any, context: Any) -> Any:
        envelope = request.prepared_transaction
        if not envelope.signature:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "prepared transaction must be signed")
        self.submitted.append(envelope)
        if self.ordering:
            self.network.order(envelope)
        return gateway_pb2.SubmitResponse()

    def _commit_status(self, signed: Any, context: Any) -> Any:
        request = gateway_pb2.CommitStatusRequest.FromString(signed.request)
        if not self.network.verify(request.identity, signed.request, signed.signature):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "signature")
        with self.network.changed:
            while request.transaction_id not in self.network.index:
                if not context.is_active() or self.closed.is_set():
                    context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "context deadline exceeded")
                self.network.changed.wait(0.05)
            block, place = self.network.index[request.transaction_id]
            code = self.network.blocks[block].metadata.metadata[2][place]
        return gateway_pb2.CommitStatusResponse(result=code, block_number=block)

    def _evaluate(self, request: Any, context: Any) -> Any:
        try:
            _, response = self.network.run(request.proposed_transaction)
        except Refused as error:
            self._abort(context, "evaluate call to endorser returned error", str(error))
        return gateway_pb2.EvaluateResponse(result=proposal_response_pb2.Response.FromString(response))

    def _abort(self, context: Any, message: str, detail: str) -> None:
        """As Fabric's Gateway tells what a peer said."""
        told = ErrorDetail("peer0.org1:7051", "Org1MSP", detail).encode()
        status = RpcStatus(10, message, (AnyMessage("type.googleapis.com/gateway.ErrorDetail", told),))
        context.set_trailing_metadata((("grpc-status-details-bin", status.encode()),))
        context.abort(grpc.StatusCode.ABORTED, message)


def hang(context: Any) -> None:
    """Answer nothing until the caller has gone, for a minute at most."""
    end = time.monotonic() + 60
    while context.is_active() and time.monotonic() < end:
        time.sleep(0.02)


def away(context: Any) -> None:
    context.abort(grpc.StatusCode.UNAVAILABLE, "no orderers could successfully process transaction")


@contextlib.contextmanager
def serving(gateway: Gateway, directory: Path) -> Iterator[str]:
    """The Gateway on a free port of the loopback, with its TLS CA in DIRECTORY/tls-ca.pem; gives its address."""
    key, certificate = _tls(directory)
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS))
    gateway_pb2_grpc.add_GatewayServicer_to_server(gateway, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        gateway.closed.set()
        server.stop(0).wait(10)


def _tls(directory: Path) -> tuple[bytes, bytes]:
    """A key with a certificate of an own CA, which stands in the directory."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in ("tlsca", "peer0")]
    made = []
    for at, (key, name) in enumerate(zip(keys, names, strict=True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=at == 0, path_length=None), critical=True)
        )
        if at == 1:
            addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("peer0.org1")]
            builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(Encoding.PEM))
    (directory / "tls-ca.pem").write_bytes(made[0])
    private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, made[1]
