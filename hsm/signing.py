"""A signing key in a token, as the rooms above use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hsm.errors import CryptokiError

if TYPE_CHECKING:
    from hsm.public_keys import PublicKey
    from hsm.site import KeyRequest
    from hsm.tokens import Token


class SigningKey:
    """A private key that never leaves its token. Made by `Token.signing_key`."""

    __slots__ = ("_fast", "_token", "public_key", "request")

    def __init__(self, token: Token, request: KeyRequest, public_key: PublicKey) -> None:
        self._token = token
        self._fast: Callable[[bytes], bytes] | None = None
        self.request = request
        self.public_key = public_key
        """The public key as `cryptography` knows it; the same for the key's whole life."""

    @property
    def scheme(self) -> str:
        return self.request.scheme

    def sign(self, message: bytes) -> bytes:
        """The signature over the whole message, as X.509 carries it (DER for ECDSA). Blocks.

        A lost session, login or token is restored and the message signed then; that may take LaneSettings.timeout_ms.
        Raises SigningFailed, CallTimedOut, TokenUnavailable, PinRefused (all but the last retriable), TokenClosed.
        """
        fast = self._fast
        if fast is not None:
            try:
                return fast(message)
            except CryptokiError:
                # The lane knows what the answer means; it begins with a session that may be new.
                return self._token.sign_waiting(self.request, message)
        return self._token.sign_waiting(self.request, message)

    def sign_async(self, message: bytes) -> asyncio.Future[bytes]:
        """The same without blocking the event loop, but for the call itself where the lane is inline."""
        fast = self._fast
        if fast is None:
            return self._token.sign_awaited(self.request, message)
        try:
            signature = fast(message)
        except CryptokiError:
            return self._token.sign_awaited(self.request, message)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        future.set_result(signature)
        return future
