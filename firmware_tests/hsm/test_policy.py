"""The rules for signing keys."""

from __future__ import annotations

import pytest

from hsm import constants as ck
from hsm.policy import Weakness, is_made_for_backup, private_key_template, trimmed, weaknesses

KEPT = private_key_template(label="k", id=b"1", for_backup=False) | {
    ck.CKA_LOCAL: True,
    ck.CKA_ALWAYS_SENSITIVE: True,
    ck.CKA_NEVER_EXTRACTABLE: True,
}
BACKUP = private_key_template(label="k", id=b"1", for_backup=True) | {
    ck.CKA_LOCAL: True,
    ck.CKA_ALWAYS_SENSITIVE: True,
    ck.CKA_NEVER_EXTRACTABLE: False,
}


def test_keys_as_we_make_them_have_no_weakness() -> None:
    assert not weaknesses(KEPT)
    assert not weaknesses(BACKUP)
    assert is_made_for_backup(BACKUP)
    assert not is_made_for_backup(KEPT)


def test_a_restored_key_has_no_weakness() -> None:
    restored = BACKUP | {ck.CKA_LOCAL: False, ck.CKA_ALWAYS_SENSITIVE: False}
    assert not weaknesses(restored)


@pytest.mark.parametrize(
    ("attribute", "value", "weakness"),
    [
        (ck.CKA_SENSITIVE, False, Weakness.NOT_SENSITIVE),
        (ck.CKA_EXTRACTABLE, True, Weakness.EXTRACTABLE),
        (ck.CKA_LOCAL, False, Weakness.WAS_EXPOSED),
        (ck.CKA_ALWAYS_SENSITIVE, False, Weakness.WAS_EXPOSED),
        (ck.CKA_NEVER_EXTRACTABLE, False, Weakness.WAS_EXPOSED),
        (ck.CKA_PRIVATE, False, Weakness.NOT_PRIVATE),
        (ck.CKA_TOKEN, False, Weakness.NOT_STORED),
        (ck.CKA_SIGN, False, Weakness.CANNOT_SIGN),
        (ck.CKA_SIGN_RECOVER, True, Weakness.SIGN_RECOVER),
        (ck.CKA_DECRYPT, True, Weakness.DECRYPT),
        (ck.CKA_UNWRAP, True, Weakness.UNWRAP),
        (ck.CKA_DERIVE, True, Weakness.DERIVE),
        (ck.CKA_MODIFIABLE, True, Weakness.MODIFIABLE),
    ],
)
def test_each_weakness_is_found_alone(attribute: int, value: bool, weakness: Weakness) -> None:
    assert weaknesses(KEPT | {attribute: value}) == {weakness}


@pytest.mark.parametrize("attribute", [ck.CKA_SENSITIVE, ck.CKA_EXTRACTABLE, ck.CKA_PRIVATE, ck.CKA_TOKEN, ck.CKA_SIGN])
def test_what_must_hold_and_is_not_shown_does_not_hold(attribute: int) -> None:
    shown = {name: value for name, value in KEPT.items() if name != attribute}
    assert weaknesses(shown)


def test_a_key_that_any_key_may_wrap_is_not_made_for_backup() -> None:
    assert Weakness.EXTRACTABLE in weaknesses(BACKUP | {ck.CKA_WRAP_WITH_TRUSTED: False})


def test_a_copyable_key_is_weak_where_it_can_be_changed_too() -> None:
    assert weaknesses(KEPT | {ck.CKA_COPYABLE: True, ck.CKA_MODIFIABLE: True}) == {
        Weakness.COPYABLE,
        Weakness.MODIFIABLE,
    }
    assert not weaknesses(KEPT | {ck.CKA_COPYABLE: True})


def test_trimming_keeps_what_names_the_key_and_never_adds() -> None:
    template = private_key_template(label="k", id=b"1", for_backup=False)
    for less in trimmed(template):
        assert less.items() <= template.items()
        assert {ck.CKA_TOKEN, ck.CKA_LABEL, ck.CKA_ID, ck.CKA_PRIVATE} <= less.keys()
