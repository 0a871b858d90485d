"""pyHanko as a validator that is not ours: PAdES, and what changed between the revisions of a PDF."""

from __future__ import annotations

import io
from dataclasses import dataclass

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko_certvalidator import ValidationContext


@dataclass(frozen=True)
class Verdict:
    """Of one signature."""

    field: str
    intact: bool
    valid: bool
    trusted: bool
    coverage: str
    modification: str
    bottom_line: bool
    stamped: bool
    """Whether a signature time-stamp in it is valid and trusted."""


def validate(pdf: bytes, roots: list[bytes]) -> list[Verdict]:
    """Each signature and document time-stamp, in order. `roots`: DER."""
    context = ValidationContext(trust_roots=[x509.Certificate.load(root) for root in roots], allow_fetching=False)
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    verdicts = []
    for signature in reader.embedded_signatures:
        if signature.sig_object_type == "/DocTimeStamp":
            stamp = validate_pdf_timestamp(signature, context)
            verdicts.append(
                Verdict(signature.field_name, stamp.intact, stamp.valid, stamp.trusted, stamp.coverage.name,
                        stamp.modification_level.name,
                        stamp.intact and stamp.valid and stamp.trusted, False)
            )  # fmt: skip
            continue
        status = validate_pdf_signature(signature, context, ts_validation_context=context)
        token = status.timestamp_validity
        verdicts.append(
            Verdict(
                signature.field_name, status.intact, status.valid, status.trusted, status.coverage.name,
                status.modification_level.name, status.bottom_line,
                token is not None and token.valid and token.intact and token.trusted,
            )
        )  # fmt: skip
    return verdicts
