"""What can go wrong between the box and its tokens. Messages are for people and never hold a PIN or a key."""

from __future__ import annotations

from typing import ClassVar

from hsm.constants import return_value_name


class HsmError(Exception):
    """Base of every error that this package raises on purpose."""

    retriable: ClassVar[bool] = False
    """Whether the same request may succeed later without anybody's doing."""


class UriError(HsmError):
    """Not a `pkcs11:` URI (RFC 7512), or one that holds what it must not hold, such as a PIN."""


class PinUnavailable(HsmError):
    """The PIN file is missing, readable by others, or empty."""


class PinRefused(HsmError):
    """The token refused the PIN, or refusing it once more could lock the token. It is not tried again by itself."""


class ModuleUnavailable(HsmError):
    """The PKCS#11 module cannot be loaded or initialised, or does not lock although several lanes need it."""


class TokenUnavailable(HsmError):
    """The token is absent, has lost its sessions, or is being reconnected."""

    retriable = True


class TokenAmbiguous(HsmError):
    """Several tokens answer to the URI."""


class TokenClosed(HsmError):
    """The token was closed by this process."""


class CallTimedOut(TokenUnavailable):
    """The HSM did not answer in time. Its lane is replaced; a late signature is dropped and counted."""


class KeyNotFound(HsmError):
    """No private key answers to the URI."""


class KeyAmbiguous(HsmError):
    """Several private keys answer to the URI."""


class KeyExists(HsmError):
    """A key of that label or id already stands in the token."""


class KeyMismatch(HsmError):
    """The key in the token is not the key that was there before, or not the one on the other token."""


class WeakKey(HsmError):
    """The key's attributes give away more than one purpose, and no setting allows it."""


class MechanismUnavailable(HsmError):
    """The token cannot make signatures of this scheme, or the scheme does not fit the key."""


class SigningFailed(HsmError):
    """The token refused or failed this signature, again after a fresh session."""

    retriable = True


class SigningRefused(HsmError):
    """The token will not make this signature, however often it is asked."""


class SelfTestFailed(HsmError):
    """A signature of the token does not verify under the key's public key."""


class VaultError(HsmError):
    """A wrapped content key is malformed, altered, or wrapped by another key."""


class PointRefused(HsmError):
    """What a secret should be agreed on with is no uncompressed point of the curve."""


class CryptokiError(HsmError):
    """A PKCS#11 function answered other than CKR_OK."""

    def __init__(self, function: str, value: int) -> None:
        super().__init__(f"{function}: {return_value_name(value)}")
        self.function = function
        self.value = value


class DataObjectExists(HsmError):
    """A data object of that label stands in the token with another value."""


class WeakDataObject(HsmError):
    """The token would make a data object only in a way that lets it be changed."""
