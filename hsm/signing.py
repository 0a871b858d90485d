"""A key in a token, as the rooms above use it: it signs, or makes message authentication codes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hsm.errors import CryptokiError

if TYPE_CHECKING:
    from hsm.public_keys import PublicKey
    from hsm.site import KeyRequest
    from hsm.tokens import Token


class HeldKey:
    """A key that never leaves its token, with the shortest way to it."""

    __slots__ = ("_fast", "_token", "request")

    def __init__(self, token: Token, request: KeyRequest) -> None:
        self._token = token
        self._fast: Callable[[bytes], bytes] | None = None
        self.request = request

    def _use(self, message: bytes) -> bytes:
        fast = self._fast
        if fast is not None:
            try:
                return fast(message)
            except CryptokiError:
                # The lane knows what the answer means; it begins with a session that may be new.
                return self._token.sign_waiting(self.request, message)
        return self._token.sign_waiting(self.request, message)

    def _use_async(self, message: bytes) -> asyncio.Future[bytes]:
        fast = self._fast
        if fast is None:
            return self._token.sign_awaited(self.request, message)
        try:
            made = fast(message)
        except CryptokiError:
            return self._token.sign_awaited(self.request, message)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        future.set_result(made)
        return future


class SigningKey(HeldKey):
    """A private key that signs. Made by `Token.signing_key`."""

    __slots__ = ("public_key",)

    def __init__(self, token: Token, request: KeyRequest, public_key: PublicKey) -> None:
        super().__init__(token, request)
        self.public_key = public_key
        """The public key as `cryptography` knows it; the same for the key's whole life."""

    @property
    def scheme(self) -> str:
        return self.request.scheme

    sign = HeldKey._use
    """The signature over the whole message, as X.509 carries it (DER for ECDSA). Blocks.

    A lost session, login or token is restored and the message signed then; that may take LaneSettings.timeout_ms.
    Raises SigningFailed, CallTimedOut, TokenUnavailable, PinRefused (all but the last retriable), TokenClosed.
    """

    sign_async = HeldKey._use_async
    """The same without blocking the event loop, but for the call itself where the lane is inline."""


class MacKey(HeldKey):
    """A secret key that makes message authentication codes: HMAC-SHA-256 (RFC 2104). Made by `Token.mac_key`.

    A MAC is not a signature: it is in nobody's books (count_call, count_drop), and nobody without the key can check it.
    """

    __slots__ = ("check",)

    def __init__(self, token: Token, request: KeyRequest, check: bytes) -> None:
        super().__init__(token, request)
        self.check = check
        """32 bytes by which the key is known again (hsm.identity); the same for the key's whole life, and no secret."""

    mac = HeldKey._use
    """The MAC of the whole message, 32 bytes. Blocks; survives losses and raises as `SigningKey.sign` does."""

    mac_async = HeldKey._use_async
    """The same without blocking the event loop, but for the call itself where the lane is inline."""
