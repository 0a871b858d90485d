"""The one ctypes module: PKCS#11 functions of a loaded module, with exact return values.

Why not a ready-made binding: docs/decisions/0002-lanes.md. ctypes releases the interpreter lock during each call.
Layouts are those of 64-bit Linux (natural alignment, CK_ULONG of 8 bytes).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping
from ctypes import POINTER, Structure, byref, c_char, c_ubyte, c_ulong, c_void_p
from dataclasses import dataclass
from typing import Any

from hsm.constants import (
    BOOLEAN_ATTRIBUTES,
    CK_UNAVAILABLE_INFORMATION,
    CKF_OS_LOCKING_OK,
    CKF_RW_SESSION,
    CKF_SERIAL_SESSION,
    CKR_ATTRIBUTE_SENSITIVE,
    CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_OK,
    CKS_RO_USER_FUNCTIONS,
    CKS_RW_USER_FUNCTIONS,
    NUMBER_ATTRIBUTES,
)
from hsm.errors import CryptokiError, ModuleUnavailable

AttributeValue = bool | int | bytes | str
Template = Mapping[int, AttributeValue]

# The order of CK_FUNCTION_LIST (PKCS#11 v2.40, pkcs11f.h).
FUNCTION_NAMES = tuple(
    name
    for line in (
        "Initialize Finalize GetInfo GetFunctionList GetSlotList GetSlotInfo GetTokenInfo GetMechanismList",
        "GetMechanismInfo InitToken InitPIN SetPIN OpenSession CloseSession CloseAllSessions GetSessionInfo",
        "GetOperationState SetOperationState Login Logout CreateObject CopyObject DestroyObject GetObjectSize",
        "GetAttributeValue SetAttributeValue FindObjectsInit FindObjects FindObjectsFinal EncryptInit Encrypt",
        "EncryptUpdate EncryptFinal DecryptInit Decrypt DecryptUpdate DecryptFinal DigestInit Digest DigestUpdate",
        "DigestKey DigestFinal SignInit Sign SignUpdate SignFinal SignRecoverInit SignRecover VerifyInit Verify",
        "VerifyUpdate VerifyFinal VerifyRecoverInit VerifyRecover DigestEncryptUpdate DecryptDigestUpdate",
        "SignEncryptUpdate DecryptVerifyUpdate GenerateKey GenerateKeyPair WrapKey UnwrapKey DeriveKey SeedRandom",
        "GenerateRandom GetFunctionStatus CancelFunction WaitForSlotEvent",
    )
    for name in line.split()
)
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Initialize": (c_void_p,),
    "Finalize": (c_void_p,),
    "GetSlotList": (c_ubyte, c_void_p, c_void_p),
    "GetTokenInfo": (c_ulong, c_void_p),
    "GetMechanismList": (c_ulong, c_void_p, c_void_p),
    "InitToken": (c_ulong, c_void_p, c_ulong, c_void_p),
    "InitPIN": (c_ulong, c_void_p, c_ulong),
    "OpenSession": (c_ulong, c_ulong, c_void_p, c_void_p, c_void_p),
    "CloseSession": (c_ulong,),
    "GetSessionInfo": (c_ulong, c_void_p),
    "Login": (c_ulong, c_ulong, c_void_p, c_ulong),
    "Logout": (c_ulong,),
    "CreateObject": (c_ulong, c_void_p, c_ulong, c_void_p),
    "DestroyObject": (c_ulong, c_ulong),
    "GetAttributeValue": (c_ulong, c_ulong, c_void_p, c_ulong),
    "FindObjectsInit": (c_ulong, c_void_p, c_ulong),
    "FindObjects": (c_ulong, c_void_p, c_ulong, c_void_p),
    "FindObjectsFinal": (c_ulong,),
    "EncryptInit": (c_ulong, c_void_p, c_ulong),
    "Encrypt": (c_ulong, c_void_p, c_ulong, c_void_p, c_void_p),
    "DecryptInit": (c_ulong, c_void_p, c_ulong),
    "Decrypt": (c_ulong, c_void_p, c_ulong, c_void_p, c_void_p),
    "SignInit": (c_ulong, c_void_p, c_ulong),
    "Sign": (c_ulong, c_void_p, c_ulong, c_void_p, c_void_p),
    "GenerateKey": (c_ulong, c_void_p, c_void_p, c_ulong, c_void_p),
    "GenerateKeyPair": (c_ulong, c_void_p, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p, c_void_p),
    "WrapKey": (c_ulong, c_void_p, c_ulong, c_ulong, c_void_p, c_void_p),
    "UnwrapKey": (c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p),
    "DeriveKey": (c_ulong, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p),
    "GenerateRandom": (c_ulong, c_void_p, c_ulong),
}


class _FunctionList(Structure):
    _fields_ = [("version", c_ubyte * 2), *((name, c_void_p) for name in FUNCTION_NAMES)]


class _InitializeArguments(Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("create", "destroy", "lock", "unlock")),
        ("flags", c_ulong),
        ("reserved", c_void_p),
    ]


class _TokenInfo(Structure):
    _fields_ = [
        ("label", c_char * 32),
        ("manufacturer", c_char * 32),
        ("model", c_char * 16),
        ("serial", c_char * 16),
        ("flags", c_ulong),
        ("counts", c_ulong * 10),
        ("versions", c_ubyte * 4),
        ("utc_time", c_char * 16),
    ]


class _SessionInfo(Structure):
    _fields_ = [("slot_id", c_ulong), ("state", c_ulong), ("flags", c_ulong), ("device_error", c_ulong)]


class _Attribute(Structure):
    _fields_ = [("type", c_ulong), ("value", c_void_p), ("length", c_ulong)]


class Mechanism(Structure):
    """CK_MECHANISM. Read only by the module, so that one serves all threads."""

    _fields_ = [("mechanism", c_ulong), ("parameter", c_void_p), ("parameter_length", c_ulong)]

    _kept: object

    @classmethod
    def of(cls, mechanism: int, parameter: bytes | Structure | None = None) -> Mechanism:
        """A mechanism with its parameter: raw bytes, or a structure that is kept alive with it."""
        made = cls(mechanism, None, 0)
        if isinstance(parameter, bytes):
            buffer = ctypes.create_string_buffer(parameter, len(parameter))
            made._kept = buffer
            made.parameter, made.parameter_length = ctypes.addressof(buffer), len(parameter)
        elif parameter is not None:
            made._kept = parameter
            made.parameter, made.parameter_length = ctypes.addressof(parameter), ctypes.sizeof(parameter)
        return made


@dataclass(frozen=True)
class TokenInfo:
    """CK_TOKEN_INFO, decoded; padding removed."""

    slot_id: int
    label: str
    manufacturer: str
    model: str
    serial: str
    flags: int


class Cryptoki:
    """The functions of one module. Raises ModuleUnavailable if the file is not a PKCS#11 module.

    Methods raise CryptokiError with the exact return value. `sign_init` and `sign` are the bare functions, which
    return it instead: they are the hot path.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(path)
            get_function_list = self._library.C_GetFunctionList
        except (OSError, AttributeError) as error:
            raise ModuleUnavailable(f"{path} is not a PKCS#11 module: {error}") from None
        functions = POINTER(_FunctionList)()
        value = get_function_list(byref(functions))
        if value != CKR_OK:
            raise ModuleUnavailable(f"{path}: no function list")
        self._functions: dict[str, Callable[..., int]] = {
            name: ctypes.CFUNCTYPE(c_ulong, *arguments)(getattr(functions.contents, name))
            for name, arguments in _ARGUMENTS.items()
            if getattr(functions.contents, name)
        }
        self.sign_init = self._functions["SignInit"]
        self.sign = self._functions["Sign"]

    def _call(self, name: str, *arguments: Any) -> None:
        function = self._functions.get(name)
        if function is None:
            raise ModuleUnavailable(f"{self.path} has no C_{name}")
        value = function(*arguments)
        if value != CKR_OK:
            raise CryptokiError("C_" + name, value)

    def initialize(self, *, locking: bool) -> None:
        """C_Initialize. `locking`: let the module guard itself with the system's locks against several threads."""
        arguments = _InitializeArguments(flags=CKF_OS_LOCKING_OK)
        self._call("Initialize", byref(arguments) if locking else None)

    def finalize(self) -> None:
        self._call("Finalize", None)

    def slots(self, *, token_present: bool) -> list[int]:
        count = c_ulong()
        self._call("GetSlotList", token_present, None, byref(count))
        # A token may come between the two calls: leave room.
        room = count.value + 16
        slots = (c_ulong * room)()
        count.value = room
        self._call("GetSlotList", token_present, slots, byref(count))
        return list(slots[: count.value])

    def token_info(self, slot_id: int) -> TokenInfo:
        info = _TokenInfo()
        self._call("GetTokenInfo", slot_id, byref(info))
        return TokenInfo(
            slot_id,
            _padded(info, "label"),
            _padded(info, "manufacturer"),
            _padded(info, "model"),
            _padded(info, "serial"),
            info.flags,
        )

    def tokens(self) -> list[TokenInfo]:
        """Every token that tells of itself: one that is damaged, or taken out just now, hides no other.

        Raises CryptokiError where not one of several slots tells."""
        told, failed = [], None
        for slot_id in self.slots(token_present=True):
            try:
                told.append(self.token_info(slot_id))
            except CryptokiError as error:
                failed = error
        if failed is not None and not told:
            raise failed
        return told

    def mechanisms(self, slot_id: int) -> frozenset[int]:
        count = c_ulong()
        self._call("GetMechanismList", slot_id, None, byref(count))
        mechanisms = (c_ulong * count.value)()
        self._call("GetMechanismList", slot_id, mechanisms, byref(count))
        return frozenset(mechanisms[: count.value])

    def init_token(self, slot_id: int, so_pin: bytes, label: str) -> None:
        padded = label.encode().ljust(32)
        if len(padded) > 32:
            raise ValueError("a token's label has at most 32 bytes")
        self._call("InitToken", slot_id, so_pin, len(so_pin), padded)

    def init_pin(self, session: int, pin: bytes) -> None:
        self._call("InitPIN", session, pin, len(pin))

    def open_session(self, slot_id: int, *, writable: bool = False) -> int:
        session = c_ulong()
        flags = CKF_SERIAL_SESSION | (CKF_RW_SESSION if writable else 0)
        self._call("OpenSession", slot_id, flags, None, None, byref(session))
        return session.value

    def close_session(self, session: int) -> None:
        self._call("CloseSession", session)

    def is_logged_in(self, session: int) -> bool:
        """Whether the user (not the security officer) is logged in."""
        info = _SessionInfo()
        self._call("GetSessionInfo", session, byref(info))
        return info.state in (CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS)

    def login(self, session: int, user: int, pin: bytes) -> None:
        self._call("Login", session, user, pin, len(pin))

    def logout(self, session: int) -> None:
        self._call("Logout", session)

    def find_objects(self, session: int, template: Template) -> list[int]:
        attributes = _Template(template)
        self._call("FindObjectsInit", session, attributes.array, attributes.count)
        found: list[int] = []
        try:
            handles = (c_ulong * 64)()
            count = c_ulong()
            while True:
                self._call("FindObjects", session, handles, 64, byref(count))
                if not count.value:
                    return found
                found.extend(handles[: count.value])
        finally:
            self._call("FindObjectsFinal", session)

    def get_attributes(self, session: int, handle: int, types: Iterable[int]) -> dict[int, AttributeValue]:
        """The attributes that the object has and shows; the others are missing in the answer."""
        wanted = list(types)
        try:
            return self._get_attributes(session, handle, wanted)
        except CryptokiError:
            # Some tokens answer a list with one unknown attribute by an error for all: ask singly.
            found: dict[int, AttributeValue] = {}
            for attribute_type in wanted:
                try:
                    found |= self._get_attributes(session, handle, [attribute_type])
                except CryptokiError as error:
                    if error.value not in (CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID):
                        raise
            return found

    def _get_attributes(self, session: int, handle: int, types: list[int]) -> dict[int, AttributeValue]:
        array = (_Attribute * len(types))(*(_Attribute(t, None, 0) for t in types))
        function = self._functions["GetAttributeValue"]
        value = function(session, handle, array, len(types))
        if value not in (CKR_OK, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID):
            raise CryptokiError("C_GetAttributeValue", value)
        shown = [item for item in array if item.length != CK_UNAVAILABLE_INFORMATION]
        if not shown:
            return {}
        buffers = [ctypes.create_string_buffer(max(1, item.length)) for item in shown]
        sized = (_Attribute * len(shown))(
            *(
                _Attribute(item.type, ctypes.addressof(buffer), item.length)
                for item, buffer in zip(shown, buffers, strict=True)
            )
        )
        self._call("GetAttributeValue", session, handle, sized, len(shown))
        return {
            item.type: _decode(item.type, buffer.raw[: item.length])
            for item, buffer in zip(sized, buffers, strict=True)
            if item.length != CK_UNAVAILABLE_INFORMATION
        }

    def generate_key(self, session: int, mechanism: Mechanism, template: Template) -> int:
        attributes, handle = _Template(template), c_ulong()
        self._call("GenerateKey", session, byref(mechanism), attributes.array, attributes.count, byref(handle))
        return handle.value

    def generate_key_pair(
        self, session: int, mechanism: Mechanism, public: Template, private: Template
    ) -> tuple[int, int]:
        """Handles of the public and the private key."""
        first, second, public_handle, private_handle = _Template(public), _Template(private), c_ulong(), c_ulong()
        self._call(
            "GenerateKeyPair",
            session,
            byref(mechanism),
            first.array,
            first.count,
            second.array,
            second.count,
            byref(public_handle),
            byref(private_handle),
        )
        return public_handle.value, private_handle.value

    def create_object(self, session: int, template: Template) -> int:
        attributes, handle = _Template(template), c_ulong()
        self._call("CreateObject", session, attributes.array, attributes.count, byref(handle))
        return handle.value

    def destroy_object(self, session: int, handle: int) -> None:
        self._call("DestroyObject", session, handle)

    def wrap_key(self, session: int, mechanism: Mechanism, wrapping_key: int, key: int) -> bytes:
        length = c_ulong()
        self._call("WrapKey", session, byref(mechanism), wrapping_key, key, None, byref(length))
        buffer = ctypes.create_string_buffer(length.value)
        self._call("WrapKey", session, byref(mechanism), wrapping_key, key, buffer, byref(length))
        return buffer.raw[: length.value]

    def unwrap_key(
        self, session: int, mechanism: Mechanism, unwrapping_key: int, wrapped: bytes, template: Template
    ) -> int:
        attributes, handle = _Template(template), c_ulong()
        self._call(
            "UnwrapKey",
            session,
            byref(mechanism),
            unwrapping_key,
            wrapped,
            len(wrapped),
            attributes.array,
            attributes.count,
            byref(handle),
        )
        return handle.value

    def derive_key(self, session: int, mechanism: Mechanism, base_key: int, template: Template) -> int:
        attributes, handle = _Template(template), c_ulong()
        self._call("DeriveKey", session, byref(mechanism), base_key, attributes.array, attributes.count, byref(handle))
        return handle.value

    def encrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        return self._one_part("Encrypt", session, mechanism, key, data)

    def decrypt(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        return self._one_part("Decrypt", session, mechanism, key, data)

    def sign_once(self, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        """One answer of C_Sign, apart from the hot path and uncounted: for message authentication codes alone."""
        return self._one_part("Sign", session, mechanism, key, data)

    def _one_part(self, name: str, session: int, mechanism: Mechanism, key: int, data: bytes) -> bytes:
        self._call(name + "Init", session, byref(mechanism), key)
        length = c_ulong(len(data) + 64)
        buffer = ctypes.create_string_buffer(length.value)
        self._call(name, session, data, len(data), buffer, byref(length))
        return buffer.raw[: length.value]

    def generate_random(self, session: int, count: int) -> bytes:
        buffer = ctypes.create_string_buffer(count)
        self._call("GenerateRandom", session, buffer, count)
        return buffer.raw


class _Template:
    """A CK_ATTRIBUTE array with the buffers that it points into."""

    def __init__(self, template: Template) -> None:
        self._buffers = [ctypes.create_string_buffer(_encode(value)) for value in template.values()]
        self.count = len(template)
        self.array = (_Attribute * self.count)(
            *(
                # create_string_buffer adds a NUL, which is not part of the value
                _Attribute(attribute_type, ctypes.addressof(buffer), len(buffer) - 1)
                for attribute_type, buffer in zip(template, self._buffers, strict=True)
            )
        )


def _encode(value: AttributeValue) -> bytes:
    if isinstance(value, bool):
        return b"\1" if value else b"\0"
    if isinstance(value, int):
        return bytes(c_ulong(value))
    return value.encode() if isinstance(value, str) else value


def _decode(attribute_type: int, value: bytes) -> AttributeValue:
    if attribute_type in BOOLEAN_ATTRIBUTES:
        return value not in (b"", b"\0")
    if attribute_type in NUMBER_ATTRIBUTES and len(value) == ctypes.sizeof(c_ulong):
        return c_ulong.from_buffer_copy(value).value
    return value


def _padded(info: _TokenInfo, name: str) -> str:
    # c_char arrays read through the attribute stop at NUL; fields are blank-padded and may hold any byte.
    field = getattr(_TokenInfo, name)
    raw = bytes(info)[field.offset : field.offset + field.size]
    return raw.rstrip(b" \0").decode("utf-8", "replace")
