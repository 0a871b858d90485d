"""Two-step sealing: a prepared seal travels to the client and back before it is signed.

The value is self-contained, so that the box keeps nothing between the steps, and open: it holds what the client gave
and the exact bytes that will be signed, which the client can take out and look at. It needs no authentication,
because nothing in it is believed: on its return the signed attributes are built anew from digest, time and options,
and must come out the same to the last byte. A value is therefore worth no more than the request it came from, and a
seal key signs nothing but seals of its profile whatever bytes are sent.

A document to be enveloped, or a CMS to be added to, is not inside; the client gives it again with the value.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.seals.attributes import SealOptions
from appliance.seals.errors import PreparedExpired, PreparedRejected
from appliance.seals.further import ExistingSeal
from appliance.seals.profile import PreparedSeal, SealProfile

MAX_VALUE_BYTES = 16 * 1024
LIFETIME_S = 600
"""How long after its signing time a prepared seal may be completed."""
CLOCK_LEEWAY_S = 5
"""How far its signing time may lie ahead: another worker's clock, or one stepped back by less than this."""

_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class _Value(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Version 1 of the value, as a msgpack array."""

    format: Literal["cinnabar-prepared-seal/1"]
    certificate: _Bytes32
    """SHA-256 of the seal key's certificate."""
    digest_algorithm: str
    digest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]
    time: Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
    form: Literal["detached", "enveloping", "further"]
    existing: _Bytes32 | None
    """SHA-256 of the CMS that a further signature is added to."""
    options: dict[str, str]
    signed_attributes: Annotated[bytes, msgspec.Meta(max_length=MAX_VALUE_BYTES)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Value)


def export_prepared(profile: SealProfile, prepared: PreparedSeal) -> bytes:
    """The value for a seal that this profile prepared: opaque bytes of at most MAX_VALUE_BYTES."""
    form: Literal["detached", "enveloping", "further"] = "detached"
    if prepared.existing is not None:
        form = "further"
    elif prepared.content is not None:
        form = "enveloping"
    value = _Value(
        format="cinnabar-prepared-seal/1",
        certificate=profile.certificate_digest,
        digest_algorithm=profile.digest_algorithm.name,
        digest=prepared.digest,
        time=prepared.time,
        form=form,
        existing=None if prepared.existing is None else prepared.existing.sha256,
        options=msgspec.to_builtins(prepared.options),
        signed_attributes=prepared.to_be_signed,
    )
    return _encoder.encode(value)


def import_prepared(
    profile: SealProfile,
    value: bytes,
    now_us: int,
    *,
    document: bytes | None = None,
    existing: bytes | ExistingSeal | None = None,
    lifetime_s: int = LIFETIME_S,
) -> PreparedSeal:
    """The prepared seal that a value stands for, built anew and compared; ready to be signed.

    `document` is given for an enveloping seal, `existing` (and the document, where that is needed to compare) for a
    further signature: the CMS, or what `read_existing` made of it and of the value's `prepared_digest`. `now_us` is
    microseconds since the epoch. Raises PreparedRejected, PreparedExpired, and what the profile's prepare methods
    raise.
    """
    given = _decode(value)
    if given.certificate != profile.certificate_digest:
        raise PreparedRejected(f"the value was prepared for another certificate than that of {profile.name}")
    if given.digest_algorithm != profile.digest_algorithm.name:
        raise PreparedRejected("the value names another digest algorithm than the seal key's")
    now = now_us // 1_000_000
    if not now - lifetime_s <= given.time <= now + CLOCK_LEEWAY_S:
        raise PreparedExpired(f"a prepared seal is completed within {lifetime_s} s of its signing time")
    built = _build_anew(profile, given, document, existing)
    if built.digest != given.digest:
        raise PreparedRejected("the document given is not the one that was prepared")
    if export_prepared(profile, built) != value:
        raise PreparedRejected("the value is not what this seal key prepares from its own contents")
    return built


def prepared_digest(value: bytes) -> bytes:
    """The digest in a value about a CMS, for `read_existing`; nothing more is checked. Raises PreparedRejected."""
    given = _decode(value)
    if given.form != "further":
        raise PreparedRejected("the value is not about a CMS")
    return given.digest


def _decode(value: bytes) -> _Value:
    if len(value) > MAX_VALUE_BYTES:
        raise PreparedRejected(f"a prepared seal has at most {MAX_VALUE_BYTES} bytes")
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):  # msgspec lets the latter through
        raise PreparedRejected("the value does not decode") from None


def _build_anew(
    profile: SealProfile, given: _Value, document: bytes | None, existing: bytes | ExistingSeal | None
) -> PreparedSeal:
    try:
        options = msgspec.convert(given.options, SealOptions)
    except msgspec.ValidationError:
        raise PreparedRejected("the value holds options that no seal has") from None
    time_us = given.time * 1_000_000
    if given.form == "further":
        if existing is None:
            raise PreparedRejected("the value is about a CMS: give it again")
        if isinstance(existing, ExistingSeal):
            return profile.prepare_beside(existing, time_us, options)
        return profile.prepare_further(existing, time_us, options, digest=given.digest, document=document)
    if existing is not None:
        raise PreparedRejected("the value is not about a CMS")
    if given.form == "enveloping":
        if document is None:
            raise PreparedRejected("the value is about an enveloping seal: give the document again")
        return profile.prepare_document(document, time_us, options, enveloping=True)
    return profile.prepare(given.digest, given.digest_algorithm, time_us, options)
