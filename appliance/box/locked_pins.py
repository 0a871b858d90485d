"""A token's PIN as it stands on a disk that may be stolen: encrypted, and opened by the machine's TPM or by officers.

HOME/secrets/NAME.pin.locked is JSON. The PIN is encrypted with AES-256-GCM under 32 random bytes, the lock key, bound
to the token's name. With the source `tpm` the lock key is sealed in the TPM (appliance.box.tpm). With `officer` it is
split among officers (appliance.secret_sharing), each part encrypted under that officer's passphrase by scrypt
(RFC 7914); so many passphrases as the threshold says open it, 1 by default. Nothing here reads or writes files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from appliance.errors import BadRequest, NotAuthorised
from appliance.secret_sharing import combine, split

PASSPHRASE_MINIMUM = 12
"""Characters of the shortest passphrase that an officer may choose."""
SCRYPT_COST = 2**16
"""64 MiB and about a fifth of a second a trial; a lock says its own, at most LARGEST_COST."""
LARGEST_COST = 2**20
_BLOCK = 8
_CONTEXT = b"cinnabar locked pin v1\0"
_PART_CONTEXT = b"cinnabar lock part v1\0"


class PinLocked(NotAuthorised):
    """What was given does not open the PIN, or not yet."""

    code = "pin-locked"
    title = "The PIN stays locked"
    control = "QUORUM"


class PassphraseUnfit(BadRequest):
    """Too short, another officer's, or one that opens nothing."""

    code = "passphrase-unfit"
    title = "This cannot be a passphrase"


class _Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class OfficerPart(_Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    person: str
    index: int
    salt: bytes
    cost: int
    """N of scrypt; r is 8, p is 1."""
    nonce: bytes
    sealed: bytes


class LockedPin(_Form, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-locked-pin/1"] = "cinnabar-locked-pin/1"
    token: str
    """The name of the PIN: the token's, or NAME.standby."""
    nonce: bytes
    sealed: bytes
    parts: list[OfficerPart] = []
    """officer: one an officer."""
    threshold: int = 0
    tpm: dict[str, bytes] = {}
    """tpm: what appliance.box.tpm keeps outside the TPM."""
    pcrs: str = ""
    """tpm: the selection of registers whose values the key is bound to, such as sha256:7."""

    @property
    def source(self) -> Literal["tpm", "officer"]:
        return "tpm" if self.tpm else "officer"


def lock_for_officers(token: str, pin: str, passphrases: dict[str, str], threshold: int = 1) -> LockedPin:
    """Lock a PIN under passphrases of officers, by person. Raises PassphraseUnfit, ValueError."""
    for person, passphrase in passphrases.items():
        if len(passphrase) < PASSPHRASE_MINIMUM:
            raise PassphraseUnfit(f"{person}: a passphrase has at least {PASSPHRASE_MINIMUM} characters")
    if len(set(passphrases.values())) != len(passphrases):
        raise PassphraseUnfit("two officers cannot have one passphrase")
    key = os.urandom(32)
    parts = split(key, threshold, len(passphrases))
    sealed = [
        _seal_part(token, person, index, part, passphrases[person])
        for person, (index, part) in zip(passphrases, parts.items(), strict=True)
    ]
    return _lock(token, pin, key, parts=sealed, threshold=threshold)


def lock_for_tpm(token: str, pin: str, pcrs: str, seal: Callable[[bytes], dict[str, bytes]]) -> LockedPin:
    """Lock a PIN under a key that `seal` puts into the TPM."""
    key = os.urandom(32)
    return _lock(token, pin, key, tpm=seal(key), pcrs=pcrs)


def open_with_tpm(locked: LockedPin, unseal: Callable[[dict[str, bytes], str], bytes]) -> str:
    """The PIN. Raises PinLocked, and what `unseal` does."""
    return _open(locked, unseal(locked.tpm, locked.pcrs))


def open_with_parts(locked: LockedPin, parts: dict[int, bytes]) -> str:
    """The PIN, from as many parts as are needed. Raises PinLocked."""
    if len(parts) < locked.threshold:
        raise PinLocked(f"{locked.threshold - len(parts)} more passphrases are needed")
    chosen = dict(sorted(parts.items())[: locked.threshold])
    return _open(locked, combine(chosen))


def find_part(locked: LockedPin, passphrase: str, known: Iterable[int] = ()) -> tuple[int, bytes] | None:
    """The part that this passphrase opens, None where it opens none; those of `known` indexes are not tried."""
    for part in locked.parts:
        if part.index in known or not 2 <= part.cost <= LARGEST_COST:
            continue
        try:
            opened = AESGCM(_stretched(passphrase, part.salt, part.cost)).decrypt(
                part.nonce, part.sealed, _part_context(locked.token, part.person, part.index)
            )
        except (InvalidTag, ValueError):
            continue
        return part.index, opened
    return None


def read_locked_pin(text: bytes, token: str) -> LockedPin:
    """Raises PinLocked for what cannot be read, or is of another token."""
    try:
        locked = msgspec.json.decode(text, type=LockedPin)
    except msgspec.MsgspecError:
        raise PinLocked(f"the locked PIN of {token} cannot be read") from None
    if locked.token != token or bool(locked.tpm) is bool(locked.parts):
        raise PinLocked(f"the locked PIN of {token} is another's, or opened by nothing")
    if locked.parts and not 1 <= locked.threshold <= len(locked.parts):
        raise PinLocked(f"the locked PIN of {token} needs more passphrases than there are")
    return locked


def write_locked_pin(locked: LockedPin) -> bytes:
    return msgspec.json.format(msgspec.json.encode(locked), indent=2) + b"\n"


def _lock(token: str, pin: str, key: bytes, **how: object) -> LockedPin:
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, pin.encode(), _CONTEXT + token.encode())
    return LockedPin(token=token, nonce=nonce, sealed=sealed, **how)  # type: ignore[arg-type]


def _open(locked: LockedPin, key: bytes) -> str:
    try:
        return AESGCM(key).decrypt(locked.nonce, locked.sealed, _CONTEXT + locked.token.encode()).decode()
    except (InvalidTag, ValueError):
        raise PinLocked(f"the PIN of {locked.token} does not open") from None


def _seal_part(token: str, person: str, index: int, part: bytes, passphrase: str) -> OfficerPart:
    salt, nonce = os.urandom(16), os.urandom(12)
    context = _part_context(token, person, index)
    sealed = AESGCM(_stretched(passphrase, salt, SCRYPT_COST)).encrypt(nonce, part, context)
    return OfficerPart(person=person, index=index, salt=salt, cost=SCRYPT_COST, nonce=nonce, sealed=sealed)


def _part_context(token: str, person: str, index: int) -> bytes:
    return _PART_CONTEXT + f"{token}\0{person}\0{index}".encode()


def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=_BLOCK, p=1).derive(passphrase.encode())
