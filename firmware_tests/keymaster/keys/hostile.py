"""A hostile process beside a backup: `URI PINFILE|- SECONDS`. It tries, again and again, all that a session may try
with a wrapping key: to read it, to change it, to copy it, to use it otherwise, to wrap something readable. With a PIN
file it logs in, with `-` not. It prints what it was able to do, and how often it saw the key; nothing else."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ctypes import byref, c_ulong
from pathlib import Path

from hsm import CryptokiError, Pkcs11Uri, modules
from hsm import constants as ck
from hsm.cryptoki import AttributeValue, Cryptoki, Mechanism, _Template

_KNOWN = bytes(range(32))
_AES_ECB = 0x1081
_GENERIC_SECRET = 0x10


def set_attributes(cryptoki: Cryptoki, session: int, handle: int, changes: dict[int, AttributeValue]) -> None:
    attributes = _Template(changes)
    function = cryptoki._library.C_SetAttributeValue
    _check(function(c_ulong(session), c_ulong(handle), attributes.array, c_ulong(attributes.count)))


def copy_object(cryptoki: Cryptoki, session: int, handle: int, changes: dict[int, AttributeValue]) -> None:
    attributes, made = _Template(changes), c_ulong()
    function = cryptoki._library.C_CopyObject
    _check(function(c_ulong(session), c_ulong(handle), attributes.array, c_ulong(attributes.count), byref(made)))


def _check(value: int) -> None:
    if value != ck.CKR_OK:
        raise CryptokiError("C_", value)


def wrapping_handles(cryptoki: Cryptoki, session: int) -> list[int]:
    found = []
    for handle in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY}):
        label: object = None
        with suppress(CryptokiError):  # gone again
            label = cryptoki.get_attributes(session, handle, (ck.CKA_LABEL,)).get(ck.CKA_LABEL)
        if isinstance(label, bytes) and label.startswith(b"cinnabar-backup-"):
            found.append(handle)
    return found


def attempts(cryptoki: Cryptoki, session: int, key: int) -> dict[str, Callable[[], object]]:
    """What must fail, by name."""
    kwp, ecb = Mechanism.of(ck.CKM_AES_KEY_WRAP_PAD), Mechanism.of(_AES_ECB)

    def flip(attribute: int, value: bool) -> Callable[[], object]:
        return lambda: set_attributes(cryptoki, session, key, {attribute: value})

    def read() -> bytes:
        value = cryptoki.get_attributes(session, key, (ck.CKA_VALUE,)).get(ck.CKA_VALUE)
        if not isinstance(value, bytes) or not value:
            raise CryptokiError("C_GetAttributeValue", ck.CKR_ATTRIBUTE_SENSITIVE)
        return value

    def unwrap() -> bytes:
        """What is wrapped under the key, here a secret of one's own, comes out readable."""
        secret = cryptoki.create_object(session, unwrapped | {ck.CKA_VALUE: _KNOWN})
        blob = cryptoki.wrap_key(session, kwp, key, secret)
        handle = cryptoki.unwrap_key(session, kwp, key, blob, unwrapped)
        value = cryptoki.get_attributes(session, handle, (ck.CKA_VALUE,))[ck.CKA_VALUE]
        return value if isinstance(value, bytes) else b""

    unwrapped: dict[int, AttributeValue] = {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: _GENERIC_SECRET,
        ck.CKA_TOKEN: False,
        ck.CKA_PRIVATE: False,
        ck.CKA_SENSITIVE: False,
        ck.CKA_EXTRACTABLE: True,
    }
    trusted = {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: ck.CKK_AES,
        ck.CKA_VALUE: _KNOWN,
        ck.CKA_TOKEN: False,
        ck.CKA_PRIVATE: False,
        ck.CKA_WRAP: True,
        ck.CKA_TRUSTED: True,
    }
    return {
        "read": read,
        "flip-unwrap": flip(ck.CKA_UNWRAP, True),
        "flip-decrypt": flip(ck.CKA_DECRYPT, True),
        "flip-encrypt": flip(ck.CKA_ENCRYPT, True),
        "flip-sensitive": flip(ck.CKA_SENSITIVE, False),
        "flip-extractable": flip(ck.CKA_EXTRACTABLE, True),
        "flip-modifiable": flip(ck.CKA_MODIFIABLE, True),
        "flip-trusted": flip(ck.CKA_TRUSTED, False),
        "copy": lambda: copy_object(cryptoki, session, key, {ck.CKA_UNWRAP: True, ck.CKA_TOKEN: False}),
        "copy-plain": lambda: copy_object(cryptoki, session, key, {ck.CKA_TOKEN: False}),
        "unwrap-as-secret": unwrap,
        "encrypt": lambda: cryptoki.encrypt(session, ecb, key, bytes(16)),
        "decrypt": lambda: cryptoki.decrypt(session, ecb, key, bytes(16)),
        "make-trusted": lambda: cryptoki.create_object(session, trusted),
    }


def key_attempts(cryptoki: Cryptoki, session: int) -> dict[str, Callable[[], object]]:
    """The same for keys made for backup: out under a key that one knows, or readable."""
    kwp = Mechanism.of(ck.CKM_AES_KEY_WRAP_PAD)
    found: dict[str, Callable[[], object]] = {}
    for number, handle in enumerate(cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY})):

        def wrap_known(handle: int = handle) -> object:
            known = cryptoki.create_object(
                session,
                {
                    ck.CKA_CLASS: ck.CKO_SECRET_KEY,
                    ck.CKA_KEY_TYPE: ck.CKK_AES,
                    ck.CKA_VALUE: _KNOWN,
                    ck.CKA_TOKEN: False,
                    ck.CKA_WRAP: True,
                },
            )
            try:
                return cryptoki.wrap_key(session, kwp, known, handle)
            finally:
                cryptoki.destroy_object(session, known)

        found[f"key-{number}-wrap-known"] = wrap_known
        found[f"key-{number}-drop-trusted"] = lambda handle=handle: set_attributes(
            cryptoki, session, handle, {ck.CKA_WRAP_WITH_TRUSTED: False}
        )
        found[f"key-{number}-copy"] = lambda handle=handle: copy_object(
            cryptoki, session, handle, {ck.CKA_TOKEN: False, ck.CKA_WRAP_WITH_TRUSTED: False}
        )
    return found


def main() -> None:
    uri, pin_file, seconds = sys.argv[1:]
    parsed = Pkcs11Uri.parse(uri)
    cryptoki = modules.acquire(parsed.module_path).cryptoki
    slot = next(s for s in cryptoki.slots(token_present=True) if cryptoki.token_info(s).serial == parsed.serial)
    session = cryptoki.open_session(slot, writable=True)
    if pin_file != "-":
        cryptoki.login(session, ck.CKU_USER, Path(pin_file).read_text().strip().encode())
    did: Counter[str] = Counter()
    seen = 0
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    print("ready", flush=True)
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline and not told:
        for handle in wrapping_handles(cryptoki, session):
            seen += 1
            for name, attempt in attempts(cryptoki, session, handle).items():
                _try(did, name, attempt)
        if pin_file != "-" and seen:
            for name, attempt in key_attempts(cryptoki, session).items():
                _try(did, name, attempt)
    print(json.dumps({"seen": seen, "did": did}))


def _try(did: Counter[str], name: str, attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except CryptokiError:
        return
    did[name] += 1


if __name__ == "__main__":
    main()
