"""Protocol Buffers on the wire, for the few messages of Fabric that are judged and signed here.

A message is a frozen dataclass whose fields say their number and kind. Written is the form that every implementation
writes: fields by rising number, defaults left out. Read is less than others read: a field that may stand once and
stands twice, another wire type, or a cut field is refused, so that two readers never see two messages in one text.
Fields of other numbers are passed over, as newer versions of Fabric add some.

Why not the packaged definitions: the offline verifier needs no server's library, and the log follower, which holds
PINs, reads what peers wrote; docs/decisions/0025 says more. Encoding: protobuf.dev, "Encoding".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Self

DEEPEST: Final = 8
"""Messages within messages; Fabric's have three."""
MOST_FIELDS: Final = 20_000
"""In one message, those that may stand many times counted singly: a block has at most a few thousand transactions."""
_VARINT, _FIXED64, _OCTETS, _FIXED32 = 0, 1, 2, 5
_LARGEST: Final = 2**64


class MalformedMessage(ValueError):
    """The bytes are not a message of that form."""


def whole(at: int) -> Any:
    """A field of whole numbers, flags or enumerations, none below zero."""
    return dataclasses.field(default=0, metadata={"at": at, "kind": "whole"})


def octets(at: int) -> Any:
    """A field of bytes."""
    return dataclasses.field(default=b"", metadata={"at": at, "kind": "octets"})


def text(at: int) -> Any:
    """A field of text, UTF-8."""
    return dataclasses.field(default="", metadata={"at": at, "kind": "text"})


def inner(at: int, form: type[Message]) -> Any:
    """A field with another message; None where it is left out."""
    return dataclasses.field(default=None, metadata={"at": at, "kind": "inner", "form": form})


def many_octets(at: int) -> Any:
    """A field of bytes that may stand many times."""
    return dataclasses.field(default=(), metadata={"at": at, "kind": "many_octets"})


def many(at: int, form: type[Message]) -> Any:
    """A field with another message that may stand many times."""
    return dataclasses.field(default=(), metadata={"at": at, "kind": "many", "form": form})


@dataclasses.dataclass(frozen=True)
class Message:
    """What all messages have in common."""

    LIMIT: ClassVar[int] = 4 * 1024 * 1024
    """Most bytes of a message that are read."""

    def encode(self) -> bytes:
        """The message's bytes."""
        parts: list[bytes] = []
        for field in sorted(dataclasses.fields(self), key=lambda one: int(one.metadata["at"])):
            value, kind = getattr(self, field.name), field.metadata["kind"]
            for one in value if kind.startswith("many") else (() if value is None else (value,)):
                written = _octets_of(one)
                if written is None:
                    if one:
                        parts.append(_varint(field.metadata["at"] << 3 | _VARINT) + _varint(one))
                elif written or kind in ("inner", "many", "many_octets"):
                    parts.append(_varint(field.metadata["at"] << 3 | _OCTETS) + _varint(len(written)) + written)
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes, depth: int = 0) -> Self:
        """The message that these bytes are. Raises MalformedMessage."""
        if depth > DEEPEST or len(data) > cls.LIMIT:
            raise MalformedMessage(f"{cls.__name__}: too deep or too long")
        fields = {field.metadata["at"]: field for field in dataclasses.fields(cls)}
        found: dict[str, Any] = {}
        for at, value in _fields(data):
            field = fields.get(at)
            if field is None:
                continue
            kind = field.metadata["kind"]
            if value is None or isinstance(value, int) is not (kind == "whole"):
                raise MalformedMessage(f"{cls.__name__}.{field.name} is of another wire type")
            read = _value(kind, field.metadata.get("form"), value, depth)
            if kind.startswith("many"):
                found.setdefault(field.name, []).append(read)
            elif field.name in found:
                raise MalformedMessage(f"{cls.__name__}.{field.name} stands twice")
            else:
                found[field.name] = read
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})


def _octets_of(value: Any) -> bytes | None:
    if isinstance(value, Message):
        return value.encode()
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else None


def _value(kind: str, form: type[Message] | None, value: Any, depth: int) -> Any:
    if form is not None:
        return form.decode(value, depth + 1)
    if kind == "text":
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise MalformedMessage("a text is not UTF-8") from None
    return value


def _varint(value: int) -> bytes:
    if not 0 <= value < _LARGEST:
        raise ValueError("a number of a message lies in 0 to 2^64 - 1")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes | None]]:
    """Number and value of each field, in the order that they stand in; None: of fixed length, which none here has."""
    at = count = 0
    while at < len(data):
        count += 1
        if count > MOST_FIELDS:
            raise MalformedMessage("too many fields")
        key, at = _read_varint(data, at)
        place, wire_type = key >> 3, key & 7
        if not 0 < place < 2**29:
            raise MalformedMessage("no field has that number")
        if wire_type == _VARINT:
            value, at = _read_varint(data, at)
            yield place, value
            continue
        if wire_type == _OCTETS:
            size, at = _read_varint(data, at)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise MalformedMessage("a wire type that is not used any more")
        if size > len(data) - at:
            raise MalformedMessage("a field is cut short")
        yield place, data[at : at + size] if wire_type == _OCTETS else None
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise MalformedMessage("a number is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= _LARGEST or (shift and not byte):
                raise MalformedMessage("a number is too large, or longer than it need be")
            return value, at
    raise MalformedMessage("a number is too long")
