"""`pkcs11:` URIs (RFC 7512) that name modules, tokens and keys.

    pkcs11:token=tenant-a;object=seal-1?module-path=/usr/lib/softhsm/libsofthsm2.so

A PIN has no place in a URI: URIs stand in settings, logs and argument lists. `pin-value` and `pin-source` are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from hsm.errors import UriError

_SCHEME = "pkcs11:"
_TEXT_ATTRIBUTES = {
    "token": "token",
    "manufacturer": "manufacturer",
    "serial": "serial",
    "model": "model",
    "object": "object",
    "type": "type",
    "slot-id": "slot_id",
    "library-manufacturer": "library_manufacturer",
    "library-description": "library_description",
    "library-version": "library_version",
    "slot-manufacturer": "slot_manufacturer",
    "slot-description": "slot_description",
}
_FIELDS_TO_NAMES = {field: name for name, field in _TEXT_ATTRIBUTES.items()}
_TYPES = frozenset({"public", "private", "cert", "secret-key", "data"})
# RFC 7512, section 2.3: unreserved and pk11-res-avail, with "&" in paths and "/", "?" and "|" in queries.
_PATH_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:[]@!$'()*+,=&")
_QUERY_SAFE = (_PATH_SAFE - frozenset(b"&")) | frozenset(b"/?|")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_MAXIMUM_CHARACTERS = 4096


@dataclass(frozen=True, kw_only=True)
class Pkcs11Uri:
    """The attributes of a URI; None where it has none. Text is decoded, `id` is bytes."""

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None
    type: str | None = None
    slot_id: str | None = None
    library_manufacturer: str | None = None
    library_description: str | None = None
    library_version: str | None = None
    slot_manufacturer: str | None = None
    slot_description: str | None = None
    module_path: str | None = None
    module_name: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI. Raises UriError for anything that RFC 7512 does not allow, unknown attributes and PINs."""
        if len(text) > _MAXIMUM_CHARACTERS:
            raise UriError("the URI is longer than 4096 characters")
        if text[: len(_SCHEME)].lower() != _SCHEME:
            raise UriError("the URI does not begin with pkcs11:")
        path, _, query = text[len(_SCHEME) :].partition("?")
        values: dict[str, str | bytes] = {}
        for name, value in _pairs(path, ";", _PATH_SAFE):
            if name == "id":
                _put(values, name, "id", value)
            elif name in _TEXT_ATTRIBUTES:
                _put(values, name, _TEXT_ATTRIBUTES[name], _text(name, value))
            else:
                raise UriError(f"unknown attribute {name!r} in the URI's path")
        for name, value in _pairs(query, "&", _QUERY_SAFE):
            if name in ("pin-value", "pin-source"):
                raise UriError(f"{name} does not belong in a URI: give the PIN by a callable or a PIN file")
            if name not in ("module-path", "module-name"):
                raise UriError(f"unknown attribute {name!r} in the URI's query")
            _put(values, name, name.replace("-", "_"), _text(name, value))
        if "type" in values and values["type"] not in _TYPES:
            raise UriError("the URI's type is none of public, private, cert, secret-key, data")
        if "slot_id" in values and not str(values["slot_id"]).isdecimal():
            raise UriError("slot-id is not a decimal number")
        return cls(**values)  # type: ignore[arg-type]  # every value was decoded to its field's type above

    def __str__(self) -> str:
        path = []
        for field, name in _FIELDS_TO_NAMES.items():
            value = getattr(self, field)
            if value is not None:
                path.append(f"{name}={_quote(value.encode(), _PATH_SAFE)}")
        if self.id is not None:
            path.append("id=" + "".join(f"%{byte:02X}" for byte in self.id))
        query = [
            f"{name}={_quote(value.encode(), _QUERY_SAFE)}"
            for name, value in (("module-path", self.module_path), ("module-name", self.module_name))
            if value is not None
        ]
        return _SCHEME + ";".join(path) + ("?" + "&".join(query) if query else "")

    def key(self, *, object: str | None = None, id: bytes | None = None) -> Pkcs11Uri:
        """The URI of a private key on this token."""
        return replace(self, object=object, id=id, type="private")


def _pairs(text: str, separator: str, safe: frozenset[int]) -> list[tuple[str, bytes]]:
    pairs = []
    for part in text.split(separator) if text else []:
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise UriError("a part of the URI is not name=value")
        pairs.append((name, _unquote(name, value, safe)))
    return pairs


def _unquote(name: str, value: str, safe: frozenset[int]) -> bytes:
    try:
        raw = value.encode("ascii")
    except UnicodeEncodeError:
        raise UriError(f"{name} holds a character that is not ASCII: percent-encode it") from None
    decoded = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), raw)
    if any(byte not in safe for byte in _ESCAPE.sub(b"", raw)):
        raise UriError(f"{name} holds a character that must be percent-encoded")
    return decoded


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise UriError(f"{name} is not UTF-8") from None
    if "\0" in text:
        raise UriError(f"{name} holds a NUL character")
    return text


def _put(values: dict[str, str | bytes], name: str, field: str, value: str | bytes) -> None:
    if field in values:
        raise UriError(f"{name} stands twice in the URI")
    values[field] = value


def _quote(value: bytes, safe: frozenset[int]) -> str:
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in value)
