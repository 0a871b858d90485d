"""Every endpoint of the local API, in one table."""

from __future__ import annotations

from typing import Final

from appliance.anchorer.client import AnchorerUnavailable
from appliance.api.anchor_schemas import AnchorAnswer, LedgersAnswer
from appliance.api.anchors import anchor, anchor_receipt, ledgers
from appliance.api.bodies import BodyDamaged
from appliance.api.bulk_seals import MEDIA_SEALS, jobs, seals_bulk
from appliance.api.bulk_stamps import MEDIA_BATCH, MEDIA_DIGESTS, evidence_record, stamps_bulk
from appliance.api.certificate_table import CERTIFICATES
from appliance.api.description import openapi
from appliance.api.endpoint_errors import SEALING, SIGNING, STAMPING
from appliance.api.endpoints import (
    APPLICATIONS,
    LISTENERS,
    MEDIA_BYTES,
    MEDIA_JSON,
    MEDIA_STAMP_QUERY,
    MEDIA_STAMP_REPLY,
    MEDIA_TEXT,
    Answer,
    Body,
    Endpoint,
    Parameter,
    json_limit,
    json_of,
    small_limit,
)
from appliance.api.errors import IdempotencyNotOffered, NotPermitted
from appliance.api.filing.table import FILINGS
from appliance.api.gateway.table import GATEWAY
from appliance.api.health import health, health_live, health_ready
from appliance.api.intakes.table import INTAKES
from appliance.api.letters.asking_table import ASKING
from appliance.api.letters.draft_table import DRAFTS
from appliance.api.letters.table import LETTERS
from appliance.api.limits.table import LIMITS
from appliance.api.logs import log_openings, log_resource
from appliance.api.metrics import metrics
from appliance.api.pdf_schemas import PdfSeal, PdfSealRequest
from appliance.api.pdf_seals import document_seals
from appliance.api.quotas import quota
from appliance.api.records import records
from appliance.api.revocation_data import RevocationUnknown
from appliance.api.schemas import (
    BoxOpening,
    BulkSealRequest,
    BulkStamp,
    BulkStampRequest,
    Health,
    Job,
    PreparedSeal,
    QuotaAnswer,
    RecordAnswer,
    Seal,
    SealRequest,
    Stamp,
    StampRequest,
)
from appliance.api.seals import seals, seals_prepare
from appliance.api.stamps import stamps, tsa
from appliance.api.verification import verify_files
from appliance.box.settings import LimitSettings
from appliance.box.states import Work
from appliance.clock import TimeNotShown
from appliance.documents import TrustUnavailable
from appliance.documents.errors import GENERAL as OF_DOCUMENTS
from appliance.documents.errors import NotRendered
from appliance.errors import NotFound
from appliance.evidence import Report
from appliance.evidence_records import BatchRejected
from appliance.letters.errors import SealObjectRefused
from appliance.log import LogDamaged, NotYetIncluded
from appliance.pdf import PdfRefused
from appliance.recorder.errors import (
    Archived,
    IdempotencyConflict,
    IdempotencyKeyExpired,
    IdempotencyKeyInvalid,
    QuotaExceeded,
    RecorderUnavailable,
)
from appliance.seals import (
    CertificateNotValid,
    ContentMismatch,
    SealRefused,
    SignedDataRejected,
)
from appliance.verify_request import VerifyRequest

_UNIT = Parameter("unit", "[a-z0-9][a-z0-9.-]{0,62}", "Name of a time-stamping unit.", "demo-tsu")
_LEDGER = Parameter("ledger", "[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", "Name of a ledger.", "outside")
_NUMBER = Parameter("number", "[1-9][0-9]{0,15}", "Number of an anchor of that ledger.", "1")
_RECORD = Parameter("record", "[0-9a-f]{44}", "Id of the batch's record.", "0" * 44)
_HASH = Parameter("hash", "sha256|sha384|sha512|sha3-256|sha3-384|sha3-512", "Hash of a binary body.", "sha256")
_WAIT = "`Prefer: wait=N` waits up to N seconds, at most 60 (RFC 7240)."
_RECORD_HEADER = {"Cinnabar-Record": "Id of the record that the stamp left."}
_PROTOCOL = (
    "Whatever concerns the time-stamp itself, refusals and failures too, is a TimeStampResp with status 200. Errors of "
    "HTTP, of the caller or of the Idempotency-Key are problems."
)


def _document(limits: LimitSettings) -> int:
    """A document in base64, with room for the members beside it."""
    return limits.document * 4 // 3 + 65_536


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/stamps",
        listeners=APPLICATIONS,
        handler=stamps,
        summary="Stamp one digest",
        description="JSON, or a TimeStampReq for the first unit that the caller may use. " + _PROTOCOL,
        work=Work.SIGN,
        takes=(Body(MEDIA_JSON, StampRequest), Body(MEDIA_STAMP_QUERY, None, "TimeStampReq, DER")),
        limit=small_limit,
        answers=(Answer(200, "The stamp.", (Body(MEDIA_JSON, Stamp), Body(MEDIA_STAMP_REPLY)), _RECORD_HEADER),),
        errors=STAMPING,
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/tsa/{unit}",
        listeners=frozenset({"applications", "tsa"}),
        handler=tsa,
        summary="Ask a time-stamping unit, by RFC 3161 over HTTP",
        description=(
            _PROTOCOL
            + " On the `tsa` listener only public units answer, charged to their tenant, and no Idempotency-Key is"
            " taken: callers there cannot be told apart."
        ),
        work=Work.SIGN,
        parameters=(_UNIT,),
        takes=(Body(MEDIA_STAMP_QUERY, None, "TimeStampReq, DER"),),
        limit=small_limit,
        answers=(Answer(200, "A TimeStampResp, granted or not.", (Body(MEDIA_STAMP_REPLY),), _RECORD_HEADER),),
        errors=(
            NotFound,
            NotPermitted,
            IdempotencyConflict,
            IdempotencyKeyInvalid,
            IdempotencyKeyExpired,
            IdempotencyNotOffered,
            QuotaExceeded,
        ),
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/stamps/bulk",
        listeners=APPLICATIONS,
        handler=stamps_bulk,
        summary="Stamp many digests with one token",
        description=(
            "One token over the root of a hash tree (RFC 4998), one record. Each item gets a verdict with its path; "
            f"`Accept: {MEDIA_BATCH}` answers with token and root alone, from which a client that has the digests "
            "makes every path. The body is JSON, or the bare digests one after the other."
        ),
        work=Work.SIGN,
        query=(
            _HASH,
            Parameter("unit", _UNIT.pattern, "The unit, for a binary body.", "demo-tsu"),
            Parameter("policy", r"[012](\.(0|[1-9][0-9]{0,18})){1,31}", "The policy, for a binary body.", "1.2.3"),
        ),
        takes=(Body(MEDIA_JSON, BulkStampRequest), Body(MEDIA_DIGESTS, None, "Concatenated digests")),
        limit=json_limit,
        answers=(Answer(200, "The batch.", (Body(MEDIA_JSON, BulkStamp), Body(MEDIA_BATCH))),),
        errors=(*STAMPING, BatchRejected),
        idempotent=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/stamps/bulk/{record}/{item}",
        listeners=APPLICATIONS,
        handler=evidence_record,
        summary="The full evidence record of one item of a batch",
        description="An EvidenceRecord in DER (RFC 4998). `item` is the position among the tree's leaves.",
        work=Work.READ,
        parameters=(_RECORD, Parameter("item", "0|[1-9][0-9]{0,6}", "Position of the leaf.", "0")),
        answers=(Answer(200, "EvidenceRecord, DER.", (Body(MEDIA_BYTES),)),),
        errors=(NotFound, Archived, RecorderUnavailable, BodyDamaged),
    ),
    Endpoint(
        method="POST",
        path="/v1/seals",
        listeners=APPLICATIONS,
        handler=seals,
        summary="Seal a digest or a document",
        description=(
            "CAdES baseline B-B or B-T, detached or enveloping; a further signature on an existing CMS; or the "
            "completion of what /v1/seals/prepare answered. The digest must be of the seal key's own hash."
        ),
        work=Work.SIGN,
        takes=json_of(SealRequest),
        limit=_document,
        answers=(Answer(200, "The seal.", json_of(Seal)),),
        errors=SEALING,
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/documents/seals",
        listeners=APPLICATIONS,
        handler=document_seals,
        summary="Seal a PDF",
        description=(
            "PAdES baseline B-B, B-T, B-LT or B-LTA on any PDF, as an incremental update: seals that it bears stay "
            "valid. What acts or hides in it is refused, what a reader should know is told; see docs/pdf.md."
        ),
        work=Work.SIGN,
        takes=json_of(PdfSealRequest),
        limit=_document,
        answers=(Answer(200, "The sealed PDF.", json_of(PdfSeal)),),
        errors=(
            *STAMPING,
            CertificateNotValid,
            PdfRefused,
            NotRendered,
            SealObjectRefused,
            RevocationUnknown,
            *OF_DOCUMENTS,
        ),
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/seals/prepare",
        listeners=APPLICATIONS,
        handler=seals_prepare,
        summary="Show the exact bytes that a seal would sign",
        description="The first step of two. Nothing is signed or recorded.",
        work=Work.SIGN,
        takes=json_of(SealRequest),
        limit=_document,
        answers=(Answer(200, "The bytes, and what to hand back.", json_of(PreparedSeal)),),
        errors=(
            NotPermitted,
            SealRefused,
            CertificateNotValid,
            SignedDataRejected,
            ContentMismatch,
            TimeNotShown,
            *OF_DOCUMENTS,
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/seals/bulk",
        listeners=APPLICATIONS,
        handler=seals_bulk,
        summary="Seal many digests, each by itself",
        description=f"A job: answered with its verdicts when it is done in time, else with its address. {_WAIT}",
        work=Work.SIGN,
        query=(_HASH, Parameter("key", _UNIT.pattern, "The seal key, for a binary body.", "demo-seal")),
        takes=(Body(MEDIA_JSON, BulkSealRequest), Body(MEDIA_DIGESTS, None, "Concatenated digests")),
        limit=json_limit,
        answers=(
            Answer(200, "The job, done, with the first page of verdicts.", json_of(Job)),
            Answer(202, "The job goes on.", json_of(Job), {"Location": "Where the job is."}),
        ),
        errors=(*SIGNING, SealRefused),
        idempotent=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/{id}",
        listeners=APPLICATIONS,
        handler=jobs,
        summary="A job and a page of its verdicts",
        description=f"{_WAIT} `Accept: {MEDIA_SEALS}` gives the page in compact form.",
        work=Work.READ,
        parameters=(Parameter("id", "[0-9a-f]{44}", "Id of a job.", "0" * 44),),
        query=(
            Parameter("from", "0|[1-9][0-9]{0,6}", "First item of the page.", "0"),
            Parameter("count", "0|[1-9][0-9]{0,3}", "Items of the page, at most 1000.", "1000"),
        ),
        answers=(Answer(200, "The job.", (Body(MEDIA_JSON, Job), Body(MEDIA_SEALS))),),
        errors=(NotFound, RecorderUnavailable, BodyDamaged),
    ),
    Endpoint(
        method="GET",
        path="/v1/records/{id}",
        listeners=APPLICATIONS,
        handler=records,
        summary="A record, opened, with its proof",
        description=(
            "Canonical JSON, salt, commitment, what was handed out; the inclusion proof once there is one, and the "
            "proof under the box's own log once that has its next leaf."
        ),
        work=Work.READ,
        parameters=(Parameter("id", "[0-9a-f]{44}", "Id of a record.", "0" * 44),),
        answers=(Answer(200, "The record.", json_of(RecordAnswer)),),
        errors=(NotFound, Archived, RecorderUnavailable, BodyDamaged, LogDamaged),
    ),
    Endpoint(
        method="POST",
        path="/v1/verify",
        listeners=APPLICATIONS,
        handler=verify_files,
        summary="Verify files against the box's trust bundle",
        description=(
            "The same pure function as `cinnabar verify`; the box's records play no part in it. A process without keys "
            "and network reads the files, and is ended when they cost too much."
        ),
        work=Work.VERIFY,
        takes=json_of(VerifyRequest),
        limit=_document,
        answers=(Answer(200, "The report.", json_of(Report)),),
        errors=(TrustUnavailable, *OF_DOCUMENTS),
        reads_body=False,
    ),
    Endpoint(
        method="GET",
        path="/v1/anchors",
        listeners=APPLICATIONS,
        handler=ledgers,
        summary="The ledgers that the box's log is anchored on",
        description=(
            "Each with its newest anchor and its newest final one. A head of the box's log commits to every tenant's "
            "log ([anchors.md](anchors.md)), so the answer is the same for each of them."
        ),
        work=Work.READ,
        answers=(Answer(200, "The ledgers.", json_of(LedgersAnswer)),),
        errors=(AnchorerUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/v1/anchors/{ledger}/{number}",
        listeners=APPLICATIONS,
        handler=anchor,
        summary="One anchor",
        description="Every state that it came to, with its time.",
        work=Work.READ,
        parameters=(_LEDGER, _NUMBER),
        answers=(Answer(200, "The anchor.", json_of(AnchorAnswer)),),
        errors=(NotFound, AnchorerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/anchors/{ledger}/{number}/receipt",
        listeners=APPLICATIONS,
        handler=anchor_receipt,
        summary="The receipt of a final anchor",
        description="Canonical JSON, cinnabar-anchor-receipt/1; `cinnabar anchor verify` checks it offline.",
        work=Work.READ,
        parameters=(_LEDGER, _NUMBER),
        answers=(Answer(200, "The receipt.", (Body(MEDIA_JSON, None, "Canonical JSON."),)),),
        errors=(NotFound, AnchorerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/log/{origin}/{resource}",
        listeners=frozenset({"applications", "public"}),
        handler=log_resource,
        summary="A log's checkpoint, tiles and entries",
        description=(
            "C2SP tlog-tiles. Own and published logs on `applications`, published ones on `public`. A log that has "
            "witnesses also has a `cosigned-checkpoint`: the largest head with its quorum of cosignatures; one that "
            "was renewed has a `continuation`: how its first entry goes on in the log that succeeds it."
        ),
        work=Work.READ,
        parameters=(
            Parameter("origin", "[!-~]{1,200}?", "Origin of the log; it may hold slashes.", "example.invalid/demo"),
            Parameter(
                "resource",
                r"checkpoint|cosigned-checkpoint|continuation|tile/(?:[0-9]{1,2}|entries)/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]{1,3})?",
                "checkpoint, cosigned-checkpoint, continuation, tile/L/N, tile/entries/N, the last two with .p/W where "
                "partial.",
                "checkpoint",
            ),
        ),
        answers=(Answer(200, "The resource.", (Body(MEDIA_TEXT), Body(MEDIA_BYTES))),),
        errors=(NotFound, NotYetIncluded, LogDamaged),
    ),
    Endpoint(
        method="GET",
        path="/v1/log/openings",
        listeners=APPLICATIONS,
        handler=log_openings,
        summary="What the box's own log holds about the caller's tenant",
        description=(
            "The first opening of a box leaf from an index of the box's log on. One after the other they are the chain "
            "of the tenant's heads. A record's answer has the opening that covers it."
        ),
        work=Work.READ,
        query=(Parameter("from", "0|[1-9][0-9]{0,14}", "Index in the box's log to begin at.", "0"),),
        answers=(Answer(200, "The opening.", json_of(BoxOpening)),),
        errors=(NotFound, LogDamaged),
    ),
    Endpoint(
        method="GET",
        path="/v1/quota",
        listeners=APPLICATIONS,
        handler=quota,
        summary="What the caller's tenant may use a day, and has used",
        description="The tenant's own quota and the limits of the keys that the caller may use; of nobody else.",
        work=Work.READ,
        answers=(Answer(200, "The quota.", json_of(QuotaAnswer)),),
        errors=(RecorderUnavailable,),
    ),
    *CERTIFICATES,
    Endpoint(
        method="GET",
        path="/health",
        listeners=frozenset(LISTENERS),
        handler=health,
        summary="How the box is",
        description="A known caller sees its own tenant's keys; the metrics listener sees all; others see three words.",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "The health.", json_of(Health)),),
    ),
    Endpoint(
        method="GET",
        path="/health/live",
        listeners=frozenset(LISTENERS),
        handler=health_live,
        summary="Whether the worker answers",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "It does.", json_of(Health)),),
    ),
    Endpoint(
        method="GET",
        path="/health/ready",
        listeners=frozenset(LISTENERS),
        handler=health_ready,
        summary="Whether the worker can do its main work",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "It can.", json_of(Health)), Answer(503, "It cannot now.", json_of(Health))),
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        listeners=frozenset({"metrics"}),
        handler=metrics,
        summary="Numbers for Prometheus",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "Prometheus text format.", (Body(MEDIA_TEXT),)),),
    ),
    Endpoint(
        method="GET",
        path="/v1/openapi.json",
        listeners=APPLICATIONS,
        handler=openapi,
        summary="This API, as OpenAPI 3.1",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "The document.", (Body(MEDIA_JSON),)),),
    ),
    *LETTERS,
    *GATEWAY,
    *FILINGS,
    *ASKING,
    *DRAFTS,
    *INTAKES,
    *LIMITS,
)
