"""Why a Gateway refused, in the words of the peers and orderers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from appliance.anchors.fabric.wire import MalformedMessage, Message, many, octets, text, whole

MOST_CHARACTERS: Final = 300
_DETAILS: Final = "grpc-status-details-bin"
_ERROR_DETAIL: Final = "/gateway.ErrorDetail"


@dataclass(frozen=True)
class AnyMessage(Message):
    """google.protobuf.Any."""

    type_url: str = text(1)
    value: bytes = octets(2)


@dataclass(frozen=True)
class RpcStatus(Message):
    """google.rpc.Status."""

    code: int = whole(1)
    message: str = text(2)
    details: tuple[AnyMessage, ...] = many(3, AnyMessage)


@dataclass(frozen=True)
class ErrorDetail(Message):
    """gateway.ErrorDetail."""

    address: str = text(1)
    msp_id: str = text(2)
    message: str = text(3)


def details(error: Any) -> str:
    """What an AioRpcError says, with what each peer or orderer said; at most 300 printable characters."""
    said = [str(error.details() or "")]
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            said += _each(value)
    return "".join(one if one.isprintable() else " " for one in "; ".join(said))[:MOST_CHARACTERS]


def _each(encoded: bytes) -> list[str]:
    try:
        found = [
            ErrorDetail.decode(one.value)
            for one in RpcStatus.decode(encoded).details
            if one.type_url.endswith(_ERROR_DETAIL)
        ]
    except MalformedMessage:
        return []
    return [f"{one.msp_id} {one.address}: {one.message}" for one in found]
