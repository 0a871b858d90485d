"""A witness's key in a token, by its pkcs11: URI. The private key never leaves the token."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import hsm
from appliance.log.note import COSIGNATURE_V1, VerifierKey
from appliance.witness.errors import KeyUnavailable, SettingsFaults
from appliance.witness.settings import KeySettings, WitnessSettings

_SCHEME = "ed25519"
_TIMEOUT_MS = 5_000


class TokenKey:
    """See the module."""

    def __init__(self, name: str, token: hsm.Token, key: hsm.SigningKey, public: Ed25519PublicKey) -> None:
        self._token = token
        self._key = key
        self.verifier = VerifierKey(name, public.public_bytes_raw(), COSIGNATURE_V1)

    async def sign(self, message: bytes) -> bytes:
        """A lost session or token is restored meanwhile. Raises KeyUnavailable."""
        try:
            return await self._key.sign_async(message)
        except hsm.HsmError as error:
            raise KeyUnavailable(f"the token does not sign ({type(error).__name__})") from None

    def close(self) -> None:
        self._token.close()


def open_token_key(settings: WitnessSettings, entry: KeySettings) -> TokenKey:
    """Log in and find the key. Raises SettingsFaults, which tells no PIN."""
    place = f"keys: {entry.name}"
    try:
        uri = hsm.Pkcs11Uri.parse(entry.uri or "")
        # A URI names module, token and key; the token's own has no object.
        token_uri = _of_token(uri)
        token = hsm.open_token(
            token_uri,
            hsm.PinFile(settings.path(entry.pin_file or "")),
            hsm.LaneSettings(timeout_ms=_TIMEOUT_MS),
        )
    except hsm.HsmError as error:
        raise SettingsFaults([f"{place}: {type(error).__name__}: {error}"]) from None
    try:
        key = token.signing_key(hsm.Pkcs11Uri(object=uri.object, id=uri.id), _SCHEME)
        public = key.public_key
        if not isinstance(public, Ed25519PublicKey):
            raise SettingsFaults([f"{place}: the key is not Ed25519"])
        return TokenKey(entry.name, token, key, public)
    except hsm.HsmError as error:
        token.close()
        raise SettingsFaults([f"{place}: {type(error).__name__}: {error}"]) from None
    except BaseException:
        token.close()
        raise


def _of_token(uri: hsm.Pkcs11Uri) -> hsm.Pkcs11Uri:
    return replace(uri, object=None, id=None, type=None)
