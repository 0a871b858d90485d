"""What a key may be and do: rules of trust without I/O.

A key has one purpose: it signs, or makes MACs, or agrees on secrets. What it could do beyond that, who could change it
and how it could leave the token are weaknesses; a key with one is not used unless a setting says so, and the token's
health shows it all the same.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from hsm import constants as ck
from hsm.cryptoki import AttributeValue


class Purpose(enum.Enum):
    """The one thing that a key does."""

    SIGN = "it signs"
    MAC = "it makes message authentication codes (a secret key)"
    AGREE = "it agrees on secrets by Diffie-Hellman (a private key)"


class Weakness(enum.Enum):
    """Why a key is weaker than this box makes them."""

    NOT_SENSITIVE = "its value can be read in the clear"
    EXTRACTABLE = "it can be wrapped by any key"
    WAS_EXPOSED = "its value was once outside this token in a way that this box does not use"
    NOT_PRIVATE = "it can be used without a login"
    NOT_STORED = "it ends with the session"
    CANNOT_SIGN = "it does not sign"
    CANNOT_MAC = "it makes no message authentication codes"
    CANNOT_AGREE = "it does not agree on secrets"
    SIGN = "it can also sign"
    ENCRYPT = "it can also encrypt"
    WRAP = "it can also wrap keys"
    SIGN_RECOVER = "it can also sign with message recovery"
    DECRYPT = "it can also decrypt"
    UNWRAP = "it can also unwrap keys"
    DERIVE = "it can also derive keys"
    MODIFIABLE = "its attributes can be changed"
    COPYABLE = "it can be copied with other attributes"


KEY_ATTRIBUTES = (
    ck.CKA_TOKEN,
    ck.CKA_PRIVATE,
    ck.CKA_SENSITIVE,
    ck.CKA_EXTRACTABLE,
    ck.CKA_WRAP_WITH_TRUSTED,
    ck.CKA_LOCAL,
    ck.CKA_ALWAYS_SENSITIVE,
    ck.CKA_NEVER_EXTRACTABLE,
    ck.CKA_SIGN,
    ck.CKA_SIGN_RECOVER,
    ck.CKA_DECRYPT,
    ck.CKA_UNWRAP,
    ck.CKA_DERIVE,
    ck.CKA_MODIFIABLE,
    ck.CKA_COPYABLE,
)
SECRET_KEY_ATTRIBUTES = (*KEY_ATTRIBUTES, ck.CKA_ENCRYPT, ck.CKA_WRAP)
_FORBIDDEN = {
    ck.CKA_SIGN: Weakness.SIGN,
    ck.CKA_SIGN_RECOVER: Weakness.SIGN_RECOVER,
    ck.CKA_ENCRYPT: Weakness.ENCRYPT,
    ck.CKA_DECRYPT: Weakness.DECRYPT,
    ck.CKA_WRAP: Weakness.WRAP,
    ck.CKA_UNWRAP: Weakness.UNWRAP,
    ck.CKA_DERIVE: Weakness.DERIVE,
    ck.CKA_MODIFIABLE: Weakness.MODIFIABLE,
}
_REQUIRED = {
    ck.CKA_TOKEN: Weakness.NOT_STORED,
    ck.CKA_PRIVATE: Weakness.NOT_PRIVATE,
    ck.CKA_SENSITIVE: Weakness.NOT_SENSITIVE,
}
_CAPABILITIES = {
    Purpose.SIGN: (ck.CKA_SIGN, Weakness.CANNOT_SIGN),
    Purpose.MAC: (ck.CKA_SIGN, Weakness.CANNOT_MAC),
    Purpose.AGREE: (ck.CKA_DERIVE, Weakness.CANNOT_AGREE),
}


def is_made_for_backup(attributes: Mapping[int, AttributeValue]) -> bool:
    """Whether the key can leave the token, but only wrapped by a key that the security officer made trusted."""
    return attributes.get(ck.CKA_EXTRACTABLE) is True and attributes.get(ck.CKA_WRAP_WITH_TRUSTED) is True


def weaknesses(attributes: Mapping[int, AttributeValue], purpose: Purpose = Purpose.SIGN) -> frozenset[Weakness]:
    """The weaknesses of a private key with these attributes (KEY_ATTRIBUTES, as far as the token has them), or of a
    secret key (SECRET_KEY_ATTRIBUTES).

    What must hold and is not shown counts as not holding; a capability that the token does not know is not there.
    """
    capability, missing = _CAPABILITIES[purpose]
    required = {**_REQUIRED, capability: missing}
    found = {weakness for attribute, weakness in required.items() if attributes.get(attribute) is not True}
    found |= {
        weakness
        for attribute, weakness in _FORBIDDEN.items()
        if attribute != capability and attributes.get(attribute) is True
    }
    # Not every token takes COPYABLE false beside MODIFIABLE false; the latter matters more.
    if attributes.get(ck.CKA_COPYABLE) is True and attributes.get(ck.CKA_MODIFIABLE) is not False:
        found.add(Weakness.COPYABLE)
    if is_made_for_backup(attributes):
        return frozenset(found)
    if attributes.get(ck.CKA_EXTRACTABLE) is not False:
        found.add(Weakness.EXTRACTABLE)
    kept = (ck.CKA_LOCAL, ck.CKA_ALWAYS_SENSITIVE, ck.CKA_NEVER_EXTRACTABLE)
    if any(attributes.get(attribute) is False for attribute in kept):
        found.add(Weakness.WAS_EXPOSED)
    return frozenset(found)


def private_key_template(
    *, label: str, id: bytes, for_backup: bool, purpose: Purpose = Purpose.SIGN
) -> dict[int, AttributeValue]:
    """Attributes of a new private key: one purpose, unchangeable, and kept in the token or made for backup."""
    template: dict[int, AttributeValue] = {
        ck.CKA_TOKEN: True,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: for_backup,
        ck.CKA_SIGN: purpose is Purpose.SIGN,
        ck.CKA_SIGN_RECOVER: False,
        ck.CKA_DECRYPT: False,
        ck.CKA_UNWRAP: False,
        ck.CKA_DERIVE: purpose is Purpose.AGREE,
        ck.CKA_MODIFIABLE: False,
        ck.CKA_COPYABLE: False,
        ck.CKA_LABEL: label,
        ck.CKA_ID: id,
    }
    if for_backup:
        template[ck.CKA_WRAP_WITH_TRUSTED] = True
    return template


def mac_key_template(*, label: str, id: bytes, length: int) -> dict[int, AttributeValue]:
    """Attributes of a new secret key of `length` bytes that makes MACs and never leaves its token."""
    return {
        ck.CKA_CLASS: ck.CKO_SECRET_KEY,
        ck.CKA_KEY_TYPE: ck.CKK_GENERIC_SECRET,
        ck.CKA_VALUE_LEN: length,
        ck.CKA_TOKEN: True,
        ck.CKA_PRIVATE: True,
        ck.CKA_SENSITIVE: True,
        ck.CKA_EXTRACTABLE: False,
        ck.CKA_SIGN: True,
        ck.CKA_VERIFY: False,
        ck.CKA_ENCRYPT: False,
        ck.CKA_DECRYPT: False,
        ck.CKA_WRAP: False,
        ck.CKA_UNWRAP: False,
        ck.CKA_DERIVE: False,
        ck.CKA_MODIFIABLE: False,
        ck.CKA_COPYABLE: False,
        ck.CKA_LABEL: label,
        ck.CKA_ID: id,
    }


def public_key_template(*, label: str, id: bytes, purpose: Purpose = Purpose.SIGN) -> dict[int, AttributeValue]:
    """Attributes of the public half: it verifies, or where its private half agrees on secrets stands there alone."""
    return {
        ck.CKA_TOKEN: True,
        ck.CKA_PRIVATE: False,
        ck.CKA_VERIFY: purpose is Purpose.SIGN,
        ck.CKA_VERIFY_RECOVER: False,
        ck.CKA_ENCRYPT: False,
        ck.CKA_WRAP: False,
        ck.CKA_DERIVE: False,
        ck.CKA_MODIFIABLE: False,
        ck.CKA_LABEL: label,
        ck.CKA_ID: id,
    }


_NOT_KNOWN_EVERYWHERE = frozenset(
    {ck.CKA_SIGN_RECOVER, ck.CKA_VERIFY_RECOVER, ck.CKA_COPYABLE, ck.CKA_MODIFIABLE, ck.CKA_DERIVE, ck.CKA_UNWRAP}
    | {ck.CKA_WRAP, ck.CKA_DECRYPT, ck.CKA_ENCRYPT, ck.CKA_WRAP_WITH_TRUSTED, ck.CKA_VERIFY, ck.CKA_EXTRACTABLE}
)


def trimmed(template: Mapping[int, AttributeValue]) -> list[dict[int, AttributeValue]]:
    """The template, then less and less of it for tokens that do not know every attribute.

    What such a token makes is read back and held to `weaknesses`, so that trimming never weakens a key unnoticed.
    """
    whole = dict(template)
    without_copyable = {k: v for k, v in whole.items() if k != ck.CKA_COPYABLE}
    known_everywhere = {k: v for k, v in whole.items() if k not in _NOT_KNOWN_EVERYWHERE}
    bare = {k: v for k, v in known_everywhere.items() if k in (ck.CKA_TOKEN, ck.CKA_LABEL, ck.CKA_ID, ck.CKA_PRIVATE)}
    return [whole, without_copyable, known_everywhere, bare]
