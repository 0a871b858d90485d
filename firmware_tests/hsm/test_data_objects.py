"""Data objects in a token: what is pinned there stays as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hsm import constants as ck
from hsm.data_objects import DataObject, create_data_object, read_data_objects
from hsm.errors import CryptokiError, DataObjectExists
from hsm.testing.softhsm import SoftHsm

VALUE = bytes(range(32))
_TRY = """
import sys, pkcs11
from pkcs11 import Attribute, ObjectClass
token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])
with token.open(user_pin=sys.stdin.read(), rw=True) as session:
    (found,) = session.get_objects({Attribute.CLASS: ObjectClass.DATA})
    def put(): found[Attribute.VALUE] = b"x" * 32
    def open_up(): found[Attribute.MODIFIABLE] = True
    def copy(): found.copy({Attribute.MODIFIABLE: True})
    for attempt in (put, open_up, copy):
        try:
            attempt()
            print("done")
        except pkcs11.PKCS11Error:
            print("refused")
"""


def test_a_value_is_put_once_and_stays(softhsm: SoftHsm) -> None:
    made = softhsm.token()
    with_token = made.open()
    create_data_object(with_token, "pin-1", VALUE, application="a")
    create_data_object(with_token, "pin-1", VALUE, application="a")
    create_data_object(with_token, "pin-1", b"other", application="b")
    with pytest.raises(DataObjectExists):
        create_data_object(with_token, "pin-1", b"other", application="a")
    with_token.close()
    again = made.open()
    assert read_data_objects(again, "a") == [DataObject("pin-1", VALUE, True)]
    assert read_data_objects(again, "c") == []
    again.close()


def test_the_user_pin_can_neither_change_nor_destroy_nor_copy_it(softhsm: SoftHsm) -> None:
    made = softhsm.token()
    token = made.open()
    create_data_object(token, "pin-1", VALUE, application="a")
    with token.session(writable=True) as (cryptoki, session):
        (handle,) = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_DATA})
        with pytest.raises(CryptokiError):
            cryptoki.destroy_object(session, handle)
    # Another library, which can ask for what ours never does.
    tried = subprocess.run(
        [sys.executable, "-c", _TRY, str(made.uri.module_path), str(made.uri.token)],
        input=made.user_pin,
        capture_output=True,
        text=True,
        check=True,
    )
    assert tried.stdout.split() == ["refused", "refused", "refused"], tried.stdout + tried.stderr
    assert read_data_objects(token, "a") == [DataObject("pin-1", VALUE, True)]
    token.close()


def test_without_the_pin_it_is_not_there(softhsm: SoftHsm) -> None:
    made = softhsm.token()
    token = made.open()
    create_data_object(token, "pin-1", VALUE, application="a")
    with token.session() as (cryptoki, session):
        cryptoki.logout(session)
        assert cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_DATA}) == []
        cryptoki.login(session, ck.CKU_USER, made.user_pin.encode())
    token.close()
