"""Two-step sealing: whatever comes back, the key signs a seal of its profile or nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import CinnabarError
from appliance.seals import (
    PreparedExpired,
    PreparedRejected,
    SealOptions,
    SealProfile,
    SealRefused,
    export_prepared,
    import_prepared,
)
from firmware_tests.seals.sealing import NOW_US, Sealer
from firmware_tests.seals.test_oracle import options_strategy

DOCUMENT = b"kept by the client"
OPTIONS = SealOptions(mime_type="text/plain", locality="Shanghai")


def test_there_and_back(any_sealer: Sealer) -> None:
    prepared = any_sealer.prepare_digest(DOCUMENT, options=OPTIONS)
    value = export_prepared(any_sealer.profile, prepared)
    assert prepared.to_be_signed in value
    returned = import_prepared(any_sealer.profile, value, NOW_US + 60_000_000)
    assert returned == prepared


def test_another_profile_of_the_same_certificate_agrees(sealer: Sealer) -> None:
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT))
    again = SealProfile("in another worker", sealer.certificates, sealer.scheme)
    assert import_prepared(again, value, NOW_US).digest == sealer.digest(DOCUMENT)


def test_enveloping_needs_the_document_again(sealer: Sealer) -> None:
    prepared = sealer.profile.prepare_document(DOCUMENT, NOW_US, enveloping=True)
    value = export_prepared(sealer.profile, prepared)
    assert DOCUMENT not in value
    assert import_prepared(sealer.profile, value, NOW_US, document=DOCUMENT) == prepared
    with pytest.raises(PreparedRejected, match="give the document again"):
        import_prepared(sealer.profile, value, NOW_US)
    with pytest.raises(PreparedRejected, match="not the one that was prepared"):
        import_prepared(sealer.profile, value, NOW_US, document=b"another")
    with pytest.raises(PreparedRejected, match="not about a CMS"):
        import_prepared(sealer.profile, value, NOW_US, document=DOCUMENT, existing=b"0")


def test_further_needs_the_same_cms_again(sealer: Sealer, sealers) -> None:
    other = sealers("ecdsa-secp256k1-sha256")
    existing = other.seal(other.prepare_digest(DOCUMENT))
    prepared = sealer.profile.prepare_further(existing, NOW_US, document=DOCUMENT)
    value = export_prepared(sealer.profile, prepared)
    assert import_prepared(sealer.profile, value, NOW_US, existing=existing) == prepared
    with pytest.raises(PreparedRejected, match="give it again"):
        import_prepared(sealer.profile, value, NOW_US)
    another = other.seal(other.prepare_digest(DOCUMENT))
    assert another != existing
    with pytest.raises(PreparedRejected, match="not what this seal key prepares"):
        import_prepared(sealer.profile, value, NOW_US, existing=another)


@pytest.mark.parametrize("seconds", [601, -6])
def test_window(sealer: Sealer, seconds: int) -> None:
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT))
    with pytest.raises(PreparedExpired):
        import_prepared(sealer.profile, value, NOW_US + seconds * 1_000_000)
    inner = seconds - 1 if seconds > 0 else seconds + 1
    assert import_prepared(sealer.profile, value, NOW_US + inner * 1_000_000)


def test_another_key_and_another_algorithm(sealer: Sealer, sealers) -> None:
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT))
    with pytest.raises(PreparedRejected, match="another certificate"):
        import_prepared(sealers("ecdsa-secp256k1-sha256").profile, value, NOW_US)
    fields = msgspec.msgpack.decode(value)
    fields[2] = "sha512"
    with pytest.raises(PreparedRejected, match="another digest algorithm"):
        import_prepared(sealer.profile, msgspec.msgpack.encode(fields), NOW_US)


def replaced(value: bytes, position: int, field: object) -> bytes:
    fields = msgspec.msgpack.decode(value)
    fields[position] = field
    return msgspec.msgpack.encode(fields)


@pytest.mark.parametrize(
    ("position", "field"),
    [
        (0, "cinnabar-prepared-seal/2"),
        (1, bytes(31)),
        (3, bytes(32)),
        (3, bytes(48)),
        (4, -1),
        (4, 2**41),
        (5, "attached"),
        (6, bytes(32)),
        (7, {"mime_type": "text/html"}),
        (7, {"mime_type": "not a mime type"}),
        (7, {"unknown": "x"}),
        (7, {"mime_type": 5}),
        (8, b""),
        (8, b"\x31\x00"),
        (8, bytes(20_000)),
    ],
)
def test_a_changed_field_is_refused(sealer: Sealer, position: int, field: object) -> None:
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT, options=OPTIONS))
    with pytest.raises((PreparedRejected, SealRefused)):
        import_prepared(sealer.profile, replaced(value, position, field), NOW_US)


def test_another_time_within_the_window_is_refused(sealer: Sealer) -> None:
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT))
    with pytest.raises(PreparedRejected, match="not what this seal key prepares"):
        import_prepared(sealer.profile, replaced(value, 4, NOW_US // 10**6 - 1), NOW_US)


def test_nothing_else_is_signed(sealer: Sealer, openssl_tsa) -> None:
    """A TSTInfo's attributes, a certificate's body or any bytes in place of the signed attributes are refused."""
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT))
    for foreign in (openssl_tsa.token(bytes(32)), sealer.certificates[0].tbs_certificate_bytes, b"", bytes(100)):
        with pytest.raises(PreparedRejected):
            import_prepared(sealer.profile, replaced(value, 8, foreign), NOW_US)
        with pytest.raises(PreparedRejected):
            import_prepared(sealer.profile, foreign, NOW_US)


def test_one_value_has_one_encoding(sealer: Sealer) -> None:
    value = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT))
    fields = msgspec.msgpack.decode(value)
    longer = b"\xdc" + len(fields).to_bytes(2, "big") + value[1:]  # array 16 instead of a fixed array
    assert msgspec.msgpack.decode(longer) == fields
    with pytest.raises(PreparedRejected):
        import_prepared(sealer.profile, longer, NOW_US)


@given(options=options_strategy, digest=st.binary(min_size=32, max_size=32))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_options(sealer: Sealer, options, digest) -> None:
    prepared = sealer.profile.prepare(digest, "sha256", NOW_US, options)
    assert import_prepared(sealer.profile, export_prepared(sealer.profile, prepared), NOW_US) == prepared


@given(data=st.data())
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz(sealer: Sealer, data) -> None:
    value = bytearray(export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT, options=OPTIONS)))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(value) - 1))
        value[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    original = export_prepared(sealer.profile, sealer.prepare_digest(DOCUMENT, options=OPTIONS))
    if bytes(value) == original:
        return
    with pytest.raises(CinnabarError):
        import_prepared(sealer.profile, bytes(value), NOW_US)
