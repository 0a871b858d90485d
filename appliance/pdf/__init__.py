"""PDF of letters: what stands on their page, and the seals inside (PAdES baseline, ETSI EN 319 142-1). Pure.

`LetterPage` is the data of a page; `prepare_seal` and `PreparedPdf.complete` seal a PDF that the box rendered;
`with_validation_data` and `prepare_document_timestamp` make it last. Nothing here reads a clock, a key or a file.
docs/pdf.md tells the whole.
"""

from appliance.pdf.errors import PdfRefused, SealDoesNotFit
from appliance.pdf.lasting import PreparedStamp, ValidationData, prepare_document_timestamp, with_validation_data
from appliance.pdf.page import Circumstances, Column, LetterPage, PageRefused, Pair, Row, Section, Table
from appliance.pdf.picture import SealPicture, read_picture
from appliance.pdf.places import Place, seal_place
from appliance.pdf.same import Rendering, Sameness, read_rendering, same_letter
from appliance.pdf.sealing import TOKEN_BYTES, Hole, PreparedPdf, prepare_foreign_seal, prepare_seal, room_for

__all__ = [
    "TOKEN_BYTES",
    "Circumstances",
    "Column",
    "Hole",
    "LetterPage",
    "PageRefused",
    "Pair",
    "PdfRefused",
    "Place",
    "PreparedPdf",
    "PreparedStamp",
    "Rendering",
    "Row",
    "Sameness",
    "SealDoesNotFit",
    "SealPicture",
    "Section",
    "Table",
    "ValidationData",
    "prepare_document_timestamp",
    "prepare_foreign_seal",
    "prepare_seal",
    "read_picture",
    "read_rendering",
    "room_for",
    "same_letter",
    "seal_place",
    "with_validation_data",
]
