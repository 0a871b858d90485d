"""PKCS#11 only: URIs, modules, lanes, keys. Knows nothing of letters, tenants or HTTP.

    token = open_token(Pkcs11Uri.parse("pkcs11:token=a?module-path=..."), PinFile(path), LaneSettings())
    key = token.signing_key(Pkcs11Uri(object="seal-1"), "ecdsa-p256-sha256")
    signature = key.sign(message)

More: hsm.keys (making and judging keys), hsm.mac (keys for message authentication codes), hsm.agreement (keys that
agree on secrets), hsm.initialise, hsm.x509 (certificates), hsm.vault (content keys), hsm.backup, hsm.mechanisms
(schemes), hsm.testing (throwaway tokens). docs/hsm.md explains.
"""

from hsm.errors import (
    CallTimedOut,
    CryptokiError,
    HsmError,
    KeyAmbiguous,
    KeyExists,
    KeyMismatch,
    KeyNotFound,
    MechanismUnavailable,
    ModuleUnavailable,
    PinRefused,
    PinUnavailable,
    PointRefused,
    SelfTestFailed,
    SigningFailed,
    SigningRefused,
    TokenAmbiguous,
    TokenClosed,
    TokenUnavailable,
    UriError,
    VaultError,
    WeakKey,
)
from hsm.health import KeyHealth, SiteHealth, TokenHealth
from hsm.initialise import finish_token, initialise_token
from hsm.lanes import LaneSettings
from hsm.pins import PinFile
from hsm.signing import MacKey, SigningKey
from hsm.tokens import Standby, Token, open_token
from hsm.uri import Pkcs11Uri

__all__ = [
    "CallTimedOut",
    "CryptokiError",
    "HsmError",
    "KeyAmbiguous",
    "KeyExists",
    "KeyHealth",
    "KeyMismatch",
    "KeyNotFound",
    "LaneSettings",
    "MacKey",
    "MechanismUnavailable",
    "ModuleUnavailable",
    "PinFile",
    "PinRefused",
    "PinUnavailable",
    "Pkcs11Uri",
    "PointRefused",
    "SelfTestFailed",
    "SigningFailed",
    "SigningKey",
    "SigningRefused",
    "SiteHealth",
    "Standby",
    "Token",
    "TokenAmbiguous",
    "TokenClosed",
    "TokenHealth",
    "TokenUnavailable",
    "UriError",
    "VaultError",
    "WeakKey",
    "finish_token",
    "initialise_token",
    "open_token",
]
