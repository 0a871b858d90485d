"""Making tokens: C_InitToken and C_InitPIN."""

from __future__ import annotations

from contextlib import suppress

from hsm import constants as ck
from hsm import modules
from hsm.cryptoki import Cryptoki
from hsm.errors import CryptokiError, TokenAmbiguous, TokenUnavailable
from hsm.uri import Pkcs11Uri


def initialise_token(module: str, label: str, so_pin: str, user_pin: str, *, slot_id: int | None = None) -> Pkcs11Uri:
    """Make a token in a free slot, or in the given one, and set both PINs. Returns its URI with serial.

    module is the path of the PKCS#11 module, label at most 32 bytes of UTF-8. A slot that holds a token already is
    never touched. Raises TokenAmbiguous if the label is taken, TokenUnavailable if no slot is free, CryptokiError.
    """
    loaded = modules.acquire(module)
    try:
        cryptoki = loaded.cryptoki
        infos = cryptoki.tokens()
        if any(info.flags & ck.CKF_TOKEN_INITIALIZED and info.label == label for info in infos):
            raise TokenAmbiguous(f"a token is already called {label!r}")
        free = [i.slot_id for i in infos if not i.flags & ck.CKF_TOKEN_INITIALIZED and slot_id in (None, i.slot_id)]
        if not free:
            raise TokenUnavailable("the module has no slot with an uninitialised token")
        cryptoki.init_token(free[0], so_pin.encode(), label)
        # A module may give the new token another slot.
        for info in cryptoki.tokens():
            if info.flags & ck.CKF_TOKEN_INITIALIZED and info.label == label:
                _set_user_pin(cryptoki, info.slot_id, so_pin, user_pin)
                return Pkcs11Uri(token=label, serial=info.serial, module_path=module)
        raise TokenUnavailable("the module does not show the token that it has just made")
    finally:
        modules.release(loaded)


def finish_token(module: str, label: str, pins: tuple[str, str] | None) -> Pkcs11Uri | None:
    """What is there of a token that `initialise_token` began with the same `pins` (SO's, user's), for whoever begins
    again after a crash: its URI, with the user's PIN set; None where nothing was made yet. Without `pins` it is only
    looked for. Raises CryptokiError where the SO PIN is another one."""
    loaded = modules.acquire(module)
    try:
        cryptoki = loaded.cryptoki
        for info in cryptoki.tokens():
            if not info.flags & ck.CKF_TOKEN_INITIALIZED or info.label != label:
                continue
            if pins is not None and not info.flags & ck.CKF_USER_PIN_INITIALIZED:
                _set_user_pin(cryptoki, info.slot_id, *pins)
            return Pkcs11Uri(token=label, serial=info.serial, module_path=module)
        return None
    finally:
        modules.release(loaded)


def _set_user_pin(cryptoki: Cryptoki, slot: int, so_pin: str, user_pin: str) -> None:
    session = cryptoki.open_session(slot, writable=True)
    try:
        cryptoki.login(session, ck.CKU_SO, so_pin.encode())
        try:
            cryptoki.init_pin(session, user_pin.encode())
        finally:
            with suppress(CryptokiError):
                cryptoki.logout(session)
    finally:
        with suppress(CryptokiError):
            cryptoki.close_session(session)
