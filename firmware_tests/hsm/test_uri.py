"""RFC 7512 URIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm import Pkcs11Uri, UriError

TEXT = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def test_the_examples_of_the_rfc_that_have_no_pin() -> None:
    uri = Pkcs11Uri.parse(
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
        "object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial="
    )
    assert uri.token == "The Software PKCS#11 Softtoken"
    assert uri.manufacturer == "Snake Oil, Inc."
    assert uri.id == bytes.fromhex("69953e5cf4bdec91")
    assert uri.type == "cert"
    assert Pkcs11Uri.parse("pkcs11:") == Pkcs11Uri()
    assert Pkcs11Uri.parse("pkcs11:slot-id=327?module-path=/lib/p.so").module_path == "/lib/p.so"
    assert Pkcs11Uri.parse("PKCS11:object=a").object == "a"


@given(TEXT, TEXT, TEXT, st.none() | st.binary(max_size=20), TEXT)
def test_what_is_written_reads_back(
    token: str | None, serial: str | None, name: str | None, identifier: bytes | None, path: str | None
) -> None:
    uri = Pkcs11Uri(token=token, serial=serial, object=name, id=identifier, module_path=path)
    text = str(uri)
    assert Pkcs11Uri.parse(text) == uri
    assert text.isascii()
    assert not any(character.isspace() for character in text)


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_a_uri_error(text: str) -> None:
    for candidate in (text, "pkcs11:" + text, "pkcs11:object=a?" + text):
        try:
            uri = Pkcs11Uri.parse(candidate)
        except UriError:
            continue
        assert Pkcs11Uri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "http://token",
        "pkcs11:token",
        "pkcs11:=a",
        "pkcs11:token=a;token=b",
        "pkcs11:colour=red",
        "pkcs11:token=a b",
        "pkcs11:token=%zz",
        "pkcs11:token=%FF",
        "pkcs11:token=%00",
        "pkcs11:token=ä",
        "pkcs11:type=key",
        "pkcs11:slot-id=-1",
        "pkcs11:object=a?unknown=b",
        "pkcs11:token=a/b",
        "pkcs11:token=" + "a" * 5000,
    ],
)
def test_what_is_not_a_uri_is_refused(text: str) -> None:
    with pytest.raises(UriError):
        Pkcs11Uri.parse(text)


@pytest.mark.parametrize("query", ["pin-value=1234", "pin-source=file:/etc/pin", "module-path=/a&pin-value=1234"])
def test_a_pin_in_a_uri_is_refused_and_not_repeated(query: str) -> None:
    with pytest.raises(UriError) as caught:
        Pkcs11Uri.parse("pkcs11:token=a?" + query)
    assert "1234" not in str(caught.value)
