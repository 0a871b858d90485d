"""Document workers: whatever others upload is read here, without PIN, token, database or network.

    documents = DocumentsClient(home.documents_socket)                  # in an API worker's loop
    report = await documents.call_encoded(VERIFY, tenant, [body])      # JSON in, JSON out
    existing = await documents.call(FURTHER_SIGNATURE, tenant, FurtherRequest(...))

`python -m appliance.documents --home DIR` runs the keeper, which forks a worker for every task and ends one that
exceeds its limits. A new kind of task is a `Contract` in appliance.documents.contracts and a pure function in
appliance.documents.tasks. docs/documents.md says what is shut off, and how far.
"""

from appliance.documents.client import DocumentsClient
from appliance.documents.contracts import (
    ADDRESSED,
    FURTHER_SIGNATURE,
    INTAKE_HEADER,
    INTAKE_SLICE,
    LETTER_FILE,
    PREPARE_PDF,
    PROLONG_PDF,
    RENDER,
    RENDER_LETTER,
    SEAL_PICTURE,
    VERIFY,
    AddressedRequest,
    Contract,
    FileHeader,
    FileOfRows,
    FurtherRequest,
    LetterFileAnswer,
    LetterFileRequest,
    PreparedForeign,
    PreparePdfRequest,
    Prolonged,
    ProlongPdfRequest,
    RenderLetterRequest,
    RenderRequest,
    SealPictureRequest,
)
from appliance.documents.errors import (
    DocumentsBusy,
    DocumentsUnavailable,
    DocumentTooCostly,
    DocumentWorkerFailed,
    FontsMissing,
    NotRendered,
    TrustUnavailable,
)

__all__ = [
    "ADDRESSED",
    "FURTHER_SIGNATURE",
    "INTAKE_HEADER",
    "INTAKE_SLICE",
    "LETTER_FILE",
    "PREPARE_PDF",
    "PROLONG_PDF",
    "RENDER",
    "RENDER_LETTER",
    "SEAL_PICTURE",
    "VERIFY",
    "AddressedRequest",
    "Contract",
    "DocumentTooCostly",
    "DocumentWorkerFailed",
    "DocumentsBusy",
    "DocumentsClient",
    "DocumentsUnavailable",
    "FileHeader",
    "FileOfRows",
    "FontsMissing",
    "FurtherRequest",
    "LetterFileAnswer",
    "LetterFileRequest",
    "NotRendered",
    "PreparePdfRequest",
    "PreparedForeign",
    "ProlongPdfRequest",
    "Prolonged",
    "RenderLetterRequest",
    "RenderRequest",
    "SealPictureRequest",
    "TrustUnavailable",
]
