"""Making a token: PINs of the keymaster's own making, known to nobody, kept by the supervisor as root's alone.

Safe to begin again after a crash at any point: the PINs are noted before anything is made with them.
"""

from __future__ import annotations

import secrets

import msgspec

import hsm
from appliance.box.settings import BoxSettings, TokenSettings
from appliance.errors import Conflict
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.keys.ownership import note, noted

PIN_BYTES = 24
_NOTE = "token-pins"


class NewPins(msgspec.Struct, frozen=True, kw_only=True):
    """Of a token that is being made."""

    user: str
    so: str


def module_of(settings: BoxSettings) -> str:
    """The module that a new token is made in: that of the box's own."""
    own = next(token for token in settings.tokens if token.name == settings.authorities[0].token)
    return hsm.Pkcs11Uri.parse(own.uri).module_path or ""


def check_free(settings: BoxSettings, name: str) -> None:
    """Never a token that the box has. Raises Conflict."""
    if any(token.name == name for token in settings.tokens):
        raise Conflict(f"the box has a token {name}")


def make_token(ctx: ExecutionContext, name: str) -> tuple[TokenSettings, NewPins]:
    """Initialise a token of this name, or find the one that an earlier run of this step made. Blocks.

    Raises Conflict where the module has such a token of somebody else's, HsmError."""
    module = module_of(ctx.settings)
    if noted(ctx, _NOTE) is None and hsm.finish_token(module, name, None) is not None:
        raise Conflict(f"the module has a token {name}")
    fresh = NewPins(user=secrets.token_urlsafe(PIN_BYTES), so=secrets.token_urlsafe(PIN_BYTES))
    pins = msgspec.json.decode(note(ctx, _NOTE, msgspec.json.encode(fresh)), type=NewPins)
    uri = hsm.finish_token(module, name, (pins.so, pins.user))
    if uri is None:
        uri = hsm.initialise_token(module, name, pins.so, pins.user)
    return TokenSettings(name=name, uri=str(uri), pin_file=f"secrets/{name}.pin"), pins


async def keep_pins(ctx: ExecutionContext, name: str, pins: NewPins) -> None:
    """Have the supervisor keep both PINs. Raises SecretKept, SupervisorUnavailable."""
    await ctx.room.control(lambda control: control.keep_secret(f"{name}.pin", pins.user.encode()))
    await ctx.room.control(lambda control: control.keep_secret(f"{name}.so-pin", pins.so.encode()))
