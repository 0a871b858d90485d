"""PAdES B-LT and B-LTA of PDFs that others made, by pyHanko, in a document worker: as appliance.pdf.lasting does it for
those that the box rendered."""

from __future__ import annotations

import io

from asn1crypto import crl, ocsp, x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec
from pyhanko.sign.signers import cms_embedder, pdf_byterange
from pyhanko.sign.validation.dss import DocumentSecurityStore

from appliance.documents.contracts import Prolonged, ProlongPdfRequest
from appliance.documents.holes import free_name, opened
from appliance.pdf import PdfRefused
from appliance.quoting import quote


def prolong(request: ProlongPdfRequest) -> Prolonged:
    """See the module. Raises PdfRefused."""
    try:
        writer = IncrementalPdfFileWriter(io.BytesIO(request.pdf), strict=True)
        _add_store(writer, request)
        if not request.room:
            return Prolonged(_added(request.pdf, _written(writer)))
        field = free_name(writer, "Stamp")
        cms = cms_embedder.PdfCMSEmbedder(SigFieldSpec(field)).write_cms(field_name=field, writer=writer)
        next(cms)
        placeholder = pdf_byterange.DocumentTimestamp(bytes_reserved=2 * request.room)  # type: ignore[no-untyped-call]
        before, after = opened(cms, placeholder, request.room)
    except (PdfRefused, MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - pyHanko's readers raise whatever a broken file makes them meet
        raise PdfRefused(f"pdf: it cannot be prolonged: {quote(str(error), 200)}") from None
    return Prolonged(_added(request.pdf, before), after)


def _add_store(writer: IncrementalPdfFileWriter, request: ProlongPdfRequest) -> None:
    """Certificates, CRLs and OCSP answers for the last seal, and what was in the store already."""
    data = request.data
    DocumentSecurityStore.supply_dss_in_writer(
        writer,
        # As pyHanko names entries, which other readers of its files expect: by the text of /Contents.
        writer.prev.embedded_signatures[-1].pkcs7_content.hex().encode(),
        certs=[x509.Certificate.load(one) for one in data.certificates],
        crls=[crl.CertificateList.load(one) for one in data.crls],
        ocsps=[ocsp.OCSPResponse.load(one) for one in data.ocsps],
    )


def _written(writer: IncrementalPdfFileWriter) -> bytes:
    output = io.BytesIO()
    writer.write(output)  # type: ignore[no-untyped-call]
    return output.getvalue()


def _added(pdf: bytes, whole: bytes) -> bytes:
    if not whole.startswith(pdf):
        raise PdfRefused("pdf: it cannot be kept as it is")
    return whole[len(pdf) :]
