"""Every endpoint of the local API, in one table."""

from __future__ import annotations

from typing import Final

from appliance.api.bodies import BodyDamaged
from appliance.api.bulk_seals import MEDIA_SEALS, jobs, seals_bulk
from appliance.api.bulk_stamps import MEDIA_BATCH, MEDIA_DIGESTS, evidence_record, stamps_bulk
from appliance.api.description import openapi
from appliance.api.endpoint_errors import SEALING, SIGNING, STAMPING
from appliance.api.endpoints import (
    LISTENERS,
    MEDIA_BYTES,
    MEDIA_JSON,
    MEDIA_STAMP_QUERY,
    MEDIA_STAMP_REPLY,
    MEDIA_TEXT,
    Answer,
    Body,
    Endpoint,
    ListenerName,
    Parameter,
)
from appliance.api.errors import IdempotencyNotOffered, NotPermitted
from appliance.api.est import (
    MEDIA_ATTRIBUTES,
    MEDIA_CERTIFICATES,
    MEDIA_PKCS10,
    est_attributes,
    est_cacerts,
    est_enrol,
    est_renew,
)
from appliance.api.health import health, health_live, health_ready
from appliance.api.letters.draft_table import DRAFTS
from appliance.api.letters.table import LETTERS
from appliance.api.logs import log_openings, log_resource, revocation_list
from appliance.api.metrics import metrics
from appliance.api.ocsp import MEDIA_OCSP_REQUEST, MEDIA_OCSP_RESPONSE, ocsp_get, ocsp_post
from appliance.api.quotas import quota
from appliance.api.records import records
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
from appliance.enrolment import (
    REQUEST_BYTES,
    EnrolmentFull,
    EnrolmentRefused,
    EnrolmentUnavailable,
    RequestRefused,
    SecretRefused,
)
from appliance.errors import NotFound
from appliance.evidence import Report
from appliance.evidence_records import BatchRejected
from appliance.log import LogDamaged
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

_APPLICATIONS: Final[frozenset[ListenerName]] = frozenset({"applications"})

_UNIT = Parameter("unit", "[a-z0-9][a-z0-9.-]{0,62}", "Name of a time-stamping unit.", "demo-tsu")
_OCSP: Final[frozenset[ListenerName]] = frozenset({"public", "revocation"})
_AUTHORITY = Parameter("name", "[a-z0-9-]{1,64}", "Name of the CA.", "box-ca")
_UNKNOWN = "Nonces are not echoed; a certificate that this CA did not issue gets `unauthorized`."
_RECORD = Parameter("record", "[0-9a-f]{44}", "Id of the batch's record.", "0" * 44)
_HASH = Parameter("hash", "sha256|sha384|sha512|sha3-256|sha3-384|sha3-512", "Hash of a binary body.", "sha256")
_WAIT = "`Prefer: wait=N` waits up to N seconds, at most 60 (RFC 7240)."
_RECORD_HEADER = {"Cinnabar-Record": "Id of the record that the stamp left."}
_PROTOCOL = (
    "Whatever concerns the time-stamp itself, refusals and failures too, is a TimeStampResp with status 200. Errors of "
    "HTTP, of the caller or of the Idempotency-Key are problems."
)


def _json(limits: LimitSettings) -> int:
    return limits.json_request


def _document(limits: LimitSettings) -> int:
    """A document in base64, with room for the members beside it."""
    return limits.document * 4 // 3 + 65_536


def _small(limits: LimitSettings) -> int:
    return max(limits.stamp_request, 4_096)


def _request(_limits: LimitSettings) -> int:
    return REQUEST_BYTES


def _of(schema: type) -> tuple[Body, ...]:
    return (Body(MEDIA_JSON, schema),)


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/stamps",
        listeners=_APPLICATIONS,
        handler=stamps,
        summary="Stamp one digest",
        description="JSON, or a TimeStampReq for the first unit that the caller may use. " + _PROTOCOL,
        work=Work.SIGN,
        takes=(Body(MEDIA_JSON, StampRequest), Body(MEDIA_STAMP_QUERY, None, "TimeStampReq, DER")),
        limit=_small,
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
        limit=_small,
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
        listeners=_APPLICATIONS,
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
        limit=_json,
        answers=(Answer(200, "The batch.", (Body(MEDIA_JSON, BulkStamp), Body(MEDIA_BATCH))),),
        errors=(*STAMPING, BatchRejected),
        idempotent=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/stamps/bulk/{record}/{item}",
        listeners=_APPLICATIONS,
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
        listeners=_APPLICATIONS,
        handler=seals,
        summary="Seal a digest or a document",
        description=(
            "CAdES baseline B-B or B-T, detached or enveloping; a further signature on an existing CMS; or the "
            "completion of what /v1/seals/prepare answered. The digest must be of the seal key's own hash."
        ),
        work=Work.SIGN,
        takes=_of(SealRequest),
        limit=_document,
        answers=(Answer(200, "The seal.", _of(Seal)),),
        errors=SEALING,
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/seals/prepare",
        listeners=_APPLICATIONS,
        handler=seals_prepare,
        summary="Show the exact bytes that a seal would sign",
        description="The first step of two. Nothing is signed or recorded.",
        work=Work.SIGN,
        takes=_of(SealRequest),
        limit=_document,
        answers=(Answer(200, "The bytes, and what to hand back.", _of(PreparedSeal)),),
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
        listeners=_APPLICATIONS,
        handler=seals_bulk,
        summary="Seal many digests, each by itself",
        description=f"A job: answered with its verdicts when it is done in time, else with its address. {_WAIT}",
        work=Work.SIGN,
        query=(_HASH, Parameter("key", _UNIT.pattern, "The seal key, for a binary body.", "demo-seal")),
        takes=(Body(MEDIA_JSON, BulkSealRequest), Body(MEDIA_DIGESTS, None, "Concatenated digests")),
        limit=_json,
        answers=(
            Answer(200, "The job, done, with the first page of verdicts.", _of(Job)),
            Answer(202, "The job goes on.", _of(Job), {"Location": "Where the job is."}),
        ),
        errors=(*SIGNING, SealRefused),
        idempotent=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/{id}",
        listeners=_APPLICATIONS,
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
        listeners=_APPLICATIONS,
        handler=records,
        summary="A record, opened, with its proof",
        description=(
            "Canonical JSON, salt, commitment, what was handed out; the inclusion proof once there is one, and the "
            "proof under the box's own log once that has its next leaf."
        ),
        work=Work.READ,
        parameters=(Parameter("id", "[0-9a-f]{44}", "Id of a record.", "0" * 44),),
        answers=(Answer(200, "The record.", _of(RecordAnswer)),),
        errors=(NotFound, Archived, RecorderUnavailable, BodyDamaged, LogDamaged),
    ),
    Endpoint(
        method="POST",
        path="/v1/verify",
        listeners=_APPLICATIONS,
        handler=verify_files,
        summary="Verify files against the box's trust bundle",
        description=(
            "The same pure function as `cinnabar verify`; the box's records play no part in it. A process without keys "
            "and network reads the files, and is ended when they cost too much."
        ),
        work=Work.VERIFY,
        takes=_of(VerifyRequest),
        limit=_document,
        answers=(Answer(200, "The report.", _of(Report)),),
        errors=(TrustUnavailable, *OF_DOCUMENTS),
        reads_body=False,
    ),
    Endpoint(
        method="GET",
        path="/log/{origin}/{resource}",
        listeners=frozenset({"applications", "public"}),
        handler=log_resource,
        summary="A log's checkpoint, tiles and entries",
        description="C2SP tlog-tiles. Own and published logs on `applications`, published ones on `public`.",
        work=Work.READ,
        parameters=(
            Parameter("origin", "[!-~]{1,200}?", "Origin of the log; it may hold slashes.", "example.invalid/demo"),
            Parameter(
                "resource",
                r"checkpoint|tile/(?:[0-9]{1,2}|entries)/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]{1,3})?",
                "checkpoint, tile/L/N, tile/entries/N, each with .p/W where it is partial.",
                "checkpoint",
            ),
        ),
        answers=(Answer(200, "The resource.", (Body(MEDIA_TEXT), Body(MEDIA_BYTES))),),
        errors=(NotFound, LogDamaged),
    ),
    Endpoint(
        method="GET",
        path="/v1/log/openings",
        listeners=_APPLICATIONS,
        handler=log_openings,
        summary="What the box's own log holds about the caller's tenant",
        description=(
            "The first opening of a box leaf from an index of the box's log on. One after the other they are the chain "
            "of the tenant's heads. A record's answer has the opening that covers it."
        ),
        work=Work.READ,
        query=(Parameter("from", "0|[1-9][0-9]{0,14}", "Index in the box's log to begin at.", "0"),),
        answers=(Answer(200, "The opening.", _of(BoxOpening)),),
        errors=(NotFound, LogDamaged),
    ),
    Endpoint(
        method="GET",
        path="/v1/quota",
        listeners=_APPLICATIONS,
        handler=quota,
        summary="What the caller's tenant may use a day, and has used",
        description="The tenant's own quota and the limits of the keys that the caller may use; of nobody else.",
        work=Work.READ,
        answers=(Answer(200, "The quota.", _of(QuotaAnswer)),),
        errors=(RecorderUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/crl/{name}",
        listeners=frozenset({"applications", "public", "revocation"}),
        handler=revocation_list,
        summary="The revocation list of one of the box's CAs",
        work=Work.READ,
        needs_caller=False,
        parameters=(Parameter("name", r"[a-z0-9-]{1,64}\.crl", "Name of the CA, and `.crl`.", "tsa-ca.crl"),),
        answers=(Answer(200, "CRL, DER (RFC 5280).", (Body("application/pkix-crl"),)),),
        errors=(NotFound,),
    ),
    Endpoint(
        method="GET",
        path="/ocsp/{name}/{request}",
        listeners=_OCSP,
        handler=ocsp_get,
        summary="Whether a certificate of one of the box's CAs holds",
        description=f"OCSP (RFC 6960, appendix A.1), signed in advance (RFC 5019). {_UNKNOWN}",
        work=Work.READ,
        parameters=(
            _AUTHORITY,
            Parameter(
                "request", "[A-Za-z0-9+/=]{1,2048}", "The OCSPRequest, DER in base64.", "MEIwQDA+MDwwOjAJBgUrDgMCGgUA"
            ),
        ),
        answers=(Answer(200, "OCSPResponse, DER.", (Body(MEDIA_OCSP_RESPONSE),)),),
        errors=(NotFound,),
    ),
    Endpoint(
        method="POST",
        path="/ocsp/{name}",
        listeners=_OCSP,
        handler=ocsp_post,
        summary="Whether a certificate of one of the box's CAs holds",
        description=f"OCSP (RFC 6960, appendix A.1), signed in advance (RFC 5019). {_UNKNOWN}",
        work=Work.READ,
        parameters=(_AUTHORITY,),
        takes=(Body(MEDIA_OCSP_REQUEST, None, "OCSPRequest, DER"),),
        limit=_small,
        answers=(Answer(200, "OCSPResponse, DER.", (Body(MEDIA_OCSP_RESPONSE),)),),
        errors=(NotFound,),
    ),
    Endpoint(
        method="GET",
        path="/.well-known/est/cacerts",
        listeners=frozenset({"applications", "public"}),
        handler=est_cacerts,
        summary="The CA of the box's own TLS certificates",
        description="EST (RFC 7030, section 4.1): a certs-only CMS in base64.",
        work=Work.READ,
        needs_caller=False,
        answers=(Answer(200, "The CA's certificate.", (Body(MEDIA_CERTIFICATES),)),),
    ),
    Endpoint(
        method="GET",
        path="/.well-known/est/csrattrs",
        listeners=frozenset({"applications", "public"}),
        handler=est_attributes,
        summary="What a request for a certificate is best like",
        description="EST (RFC 7030, section 4.5): CsrAttrs in base64; a P-256 key, signed with SHA-256.",
        work=Work.READ,
        needs_caller=False,
        answers=(Answer(200, "CsrAttrs, DER in base64.", (Body(MEDIA_ATTRIBUTES),)),),
    ),
    Endpoint(
        method="POST",
        path="/.well-known/est/simpleenroll",
        listeners=frozenset({"public"}),
        handler=est_enrol,
        summary="A first certificate, for a one-time secret",
        description=(
            "EST (RFC 7030, section 4.2). Officers authorise it within a profile; the box's console shows user and "
            "secret, which are said by HTTP Basic. One certificate a secret: the same key gets the same one again."
        ),
        work=Work.SIGN,
        takes=(Body(MEDIA_PKCS10, None, "PKCS#10 request, DER in base64"),),
        limit=_request,
        answers=(Answer(200, "The certificate, certs-only CMS in base64.", (Body(MEDIA_CERTIFICATES),)),),
        errors=(SecretRefused, RequestRefused, EnrolmentRefused, EnrolmentFull, EnrolmentUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/.well-known/est/simplereenroll",
        listeners=_APPLICATIONS,
        handler=est_renew,
        summary="The certificate that follows the caller's",
        description=(
            "EST (RFC 7030, section 4.2.2), for certificates that were enrolled so, while they are in force: same "
            "names, once for each; the same key gets the same one again. A server's certificate is renewed by its "
            "application's client certificate."
        ),
        work=Work.SIGN,
        takes=(Body(MEDIA_PKCS10, None, "PKCS#10 request, DER in base64"),),
        limit=_request,
        answers=(Answer(200, "The certificate, certs-only CMS in base64.", (Body(MEDIA_CERTIFICATES),)),),
        errors=(RequestRefused, EnrolmentRefused, EnrolmentFull, EnrolmentUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/health",
        listeners=frozenset(LISTENERS),
        handler=health,
        summary="How the box is",
        description="A known caller sees its own tenant's keys; the metrics listener sees all; others see three words.",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "The health.", _of(Health)),),
    ),
    Endpoint(
        method="GET",
        path="/health/live",
        listeners=frozenset(LISTENERS),
        handler=health_live,
        summary="Whether the worker answers",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "It does.", _of(Health)),),
    ),
    Endpoint(
        method="GET",
        path="/health/ready",
        listeners=frozenset(LISTENERS),
        handler=health_ready,
        summary="Whether the worker can do its main work",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "It can.", _of(Health)), Answer(503, "It cannot now.", _of(Health))),
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
        listeners=_APPLICATIONS,
        handler=openapi,
        summary="This API, as OpenAPI 3.1",
        work=Work.STATUS,
        needs_caller=False,
        answers=(Answer(200, "The document.", (Body(MEDIA_JSON),)),),
    ),
    *LETTERS,
    *DRAFTS,
)
