"""Data objects: small values that a token keeps, and that nobody can change once they are there.

An object is made private (it shows itself after a login only), with MODIFIABLE and COPYABLE false, and with DESTROYABLE
false where the token knows that (PKCS#11 v2.40): then even the user PIN cannot take it away, only initialising the
token does.
"""

from __future__ import annotations

from typing import NamedTuple

from hsm import constants as ck
from hsm.cryptoki import AttributeValue, Cryptoki
from hsm.errors import CryptokiError, DataObjectExists, TokenUnavailable, WeakDataObject
from hsm.tokens import Token

_FIXED: dict[int, AttributeValue] = {
    ck.CKA_CLASS: ck.CKO_DATA,
    ck.CKA_TOKEN: True,
    ck.CKA_PRIVATE: True,
    ck.CKA_MODIFIABLE: False,
}
_FORMS: tuple[dict[int, AttributeValue], ...] = (
    {ck.CKA_COPYABLE: False, ck.CKA_DESTROYABLE: False},
    {ck.CKA_COPYABLE: False},
    {},
)
"""Not every token knows both attributes: the fullest form that it takes."""
_UNKNOWN = frozenset({ck.CKR_ATTRIBUTE_TYPE_INVALID, ck.CKR_ATTRIBUTE_VALUE_INVALID, ck.CKR_TEMPLATE_INCONSISTENT})


class DataObject(NamedTuple):
    """A value in a token. `lasting`: the user PIN cannot destroy it."""

    label: str
    value: bytes
    lasting: bool


def create_data_object(token: Token, label: str, value: bytes, *, application: str) -> None:
    """Put a value into the primary token for good. Nothing happens where exactly it stands there already.

    Raises DataObjectExists where the label stands for another value, WeakDataObject after destroying an object that the
    token made changeable, CryptokiError, TokenUnavailable.
    """
    with token.session(writable=True) as (cryptoki, session):
        found = _find(cryptoki, session, {ck.CKA_LABEL: label, ck.CKA_APPLICATION: application})
        if found:
            if [one.value for one in found] != [value]:
                raise DataObjectExists(f"the token has another data object {label}")
            return
        handle = _create(cryptoki, session, {ck.CKA_LABEL: label, ck.CKA_APPLICATION: application, ck.CKA_VALUE: value})
        shown = cryptoki.get_attributes(session, handle, (ck.CKA_MODIFIABLE, ck.CKA_PRIVATE))
        if shown.get(ck.CKA_MODIFIABLE) is not False or shown.get(ck.CKA_PRIVATE) is not True:
            cryptoki.destroy_object(session, handle)
            raise WeakDataObject("the token made a data object that can be changed, destroyed again")


def read_data_objects(token: Token, application: str) -> list[DataObject]:
    """Every data object of an application in the primary token, also several of one label. Raises TokenUnavailable."""
    with token.session() as (cryptoki, session):
        return _find(cryptoki, session, {ck.CKA_APPLICATION: application})


def _create(cryptoki: Cryptoki, session: int, own: dict[int, AttributeValue]) -> int:
    refusal = CryptokiError("C_CreateObject", ck.CKR_TEMPLATE_INCONSISTENT)
    for form in _FORMS:
        try:
            return cryptoki.create_object(session, _FIXED | own | form)
        except CryptokiError as error:
            if error.value not in _UNKNOWN:
                raise
            refusal = error
    raise refusal


def _find(cryptoki: Cryptoki, session: int, wanted: dict[int, AttributeValue]) -> list[DataObject]:
    found = []
    try:
        for handle in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_DATA, **wanted}):
            shown = cryptoki.get_attributes(session, handle, (ck.CKA_LABEL, ck.CKA_VALUE, ck.CKA_DESTROYABLE))
            label, value = shown.get(ck.CKA_LABEL), shown.get(ck.CKA_VALUE)
            if isinstance(label, bytes) and isinstance(value, bytes):
                lasting = shown.get(ck.CKA_DESTROYABLE) is False
                found.append(DataObject(label.decode("utf-8", "replace"), value, lasting))
    except CryptokiError as error:
        raise TokenUnavailable(str(error)) from error
    return found
