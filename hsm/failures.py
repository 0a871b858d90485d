"""What a return value of a signing call means for the session, the login and the request: pure."""

from __future__ import annotations

import enum

from hsm import constants as ck


class Failure(enum.Enum):
    SESSION = "this session is gone or spoilt: a new one is opened and the request signed there"
    CONNECTION = "the login, the token or its keys are gone: the token is connected anew"
    TRANSIENT = "the token failed: a new session is tried, then a new connection"
    REFUSED = "the token will not do this, however often it is asked"


_SESSION = frozenset(
    {ck.CKR_SESSION_HANDLE_INVALID, ck.CKR_SESSION_CLOSED, ck.CKR_OPERATION_ACTIVE, ck.CKR_OPERATION_NOT_INITIALIZED}
    | {ck.CKR_FUNCTION_CANCELED}
)
_CONNECTION = frozenset(
    {ck.CKR_USER_NOT_LOGGED_IN, ck.CKR_KEY_HANDLE_INVALID, ck.CKR_OBJECT_HANDLE_INVALID, ck.CKR_DEVICE_REMOVED}
    | {ck.CKR_TOKEN_NOT_PRESENT, ck.CKR_TOKEN_NOT_RECOGNIZED, ck.CKR_SLOT_ID_INVALID, ck.CKR_CRYPTOKI_NOT_INITIALIZED}
)
_TRANSIENT = frozenset(
    {ck.CKR_GENERAL_ERROR, ck.CKR_FUNCTION_FAILED, ck.CKR_DEVICE_ERROR, ck.CKR_DEVICE_MEMORY, ck.CKR_HOST_MEMORY}
    | {ck.CKR_SESSION_COUNT}
)


def classify(value: int) -> Failure:
    """The failure that a return value other than CKR_OK stands for; vendors' own values count as transient."""
    if value in _SESSION:
        return Failure.SESSION
    if value in _CONNECTION:
        return Failure.CONNECTION
    if value in _TRANSIENT or value >= 0x80000000:
        return Failure.TRANSIENT
    return Failure.REFUSED
