"""The endpoints of letters."""

from __future__ import annotations

from typing import Final

from appliance.api.application import TokenUnavailable
from appliance.api.bodies import BodyDamaged
from appliance.api.endpoint_errors import COURT as OF_COURT
from appliance.api.endpoint_errors import JUDGING
from appliance.api.endpoint_errors import LETTERS as OF_LETTERS
from appliance.api.endpoints import APPLICATIONS, Answer, Body, Endpoint, ListenerName, Parameter, json_limit, json_of
from appliance.api.errors import NotPermitted
from appliance.api.letters.assembling import EvidenceTooLarge
from appliance.api.letters.court import court_evidence
from appliance.api.letters.events import (
    letter,
    letter_drafts,
    letter_event_drafts,
    letter_events,
    letter_history,
    letter_page,
    letters,
    release_key,
)
from appliance.api.letters.evidence import EvidenceNotReady, anchors, evidence
from appliance.api.letters.public import (
    FILE_BYTES,
    MEDIA_FORM,
    MEDIA_HTML,
    MEDIA_MULTIPART,
    CheckedLetter,
    CheckRequest,
    FoundLetters,
    NoSuchLetter,
    PairRequest,
    check,
    check_file,
    check_form,
    check_page,
    check_pair,
    check_style,
    file_answer,
    find_answer,
    find_page,
    landing_page,
)
from appliance.api.letters.schemas import (
    Draft,
    EventRequest,
    Letter,
    LetterAnchors,
    LetterAnswer,
    LetterEvents,
    LetterPage,
    LetterRequest,
    ReleaseKey,
)
from appliance.asic import ASIC_E
from appliance.box.settings import LimitSettings
from appliance.box.states import Work
from appliance.clock import TimeNotShown
from appliance.documents import DocumentsBusy, DocumentsUnavailable, DocumentWorkerFailed, TrustUnavailable
from appliance.errors import NotFound
from appliance.letters.errors import ApprovalMissing
from appliance.log import LogDamaged
from appliance.recorder.errors import (
    HeadMoved,
    KeyExpired,
    KeyStopped,
    RecorderUnavailable,
    SegmentNotMounted,
)
from appliance.store.segments import SegmentDamaged

_LETTER = Parameter("id", "[0-9a-f]{32}", "Id of a letter.", "0" * 32)
_PUBLIC: Final[frozenset[ListenerName]] = frozenset({"public"})
_TYPED_CODE = Parameter("code", r"[\s\S]*", "Code of a letter; blanks and capitals do not matter.", "0" * 32)
_CODE_PAGES = (
    Answer(200, "The page.", (Body(MEDIA_HTML),)),
    Answer(404, "What was typed is no letter's code.", (Body(MEDIA_HTML),)),
)
_CODE = Parameter("code", "[0-9a-f]{32}", "Code of a letter.", "0" * 32)
_NAME = "[a-z][a-z0-9_-]{0,62}"
_READING: Final = (RecorderUnavailable, BodyDamaged)
_BY_FILE: Final = (DocumentWorkerFailed, DocumentsBusy, DocumentsUnavailable, TrustUnavailable)
OUT_OF_ARCHIVE: Final = (SegmentNotMounted, SegmentDamaged)

_FOUND: Final = (
    Answer(200, "What was found, as its kind makes it public.", (Body(MEDIA_HTML),)),
    Answer(404, "There is no such letter.", (Body(MEDIA_HTML),)),
)


def _file(_limits: LimitSettings) -> int:
    return FILE_BYTES


LETTERS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/letters",
        listeners=APPLICATIONS,
        handler=letters,
        summary="Begin a letter",
        description=(
            "Its kind says what it needs. The event is canonical JSON, sealed (CAdES B-T over an ASiCManifest) and "
            "recorded; uniqueness, value and quotas are decided in the transaction that records it."
        ),
        work=Work.SIGN,
        takes=json_of(LetterRequest),
        limit=json_limit,
        answers=(Answer(200, "The letter's first event.", json_of(LetterAnswer)),),
        errors=OF_LETTERS,
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/letters/drafts",
        listeners=APPLICATIONS,
        handler=letter_drafts,
        summary="Show what approvers would sign to begin a letter",
        description=(
            "Judged as the event itself would be. Nothing is signed or recorded. `needed` says how many approve "
            "at each step; see docs/letters.md."
        ),
        work=Work.READ,
        takes=json_of(LetterRequest),
        limit=json_limit,
        answers=(Answer(200, "The draft.", json_of(Draft)),),
        errors=(NotPermitted, TimeNotShown, *JUDGING, ApprovalMissing, *_READING),
    ),
    Endpoint(
        method="GET",
        path="/v1/letters",
        listeners=APPLICATIONS,
        handler=letter_page,
        summary="The tenant's letters, the newest first; or what falls due, the earliest first",
        work=Work.READ,
        query=(
            Parameter("kind", _NAME, "Only this kind.", "bid-bond"),
            Parameter("state", _NAME, "Only in this state.", "issued"),
            Parameter(
                "due_before",
                "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})",
                "Those of which an event may happen by then that waits for a time, the earliest first, of all kinds.",
                "2026-11-22T00:00:00Z",
            ),
            Parameter("after", "[0-9a-f]{32}(-[0-9]{1,18})?", "`next` of the page before.", "0" * 32),
        ),
        answers=(Answer(200, "A page.", json_of(LetterPage)),),
        errors=(NotFound, *_READING),
    ),
    Endpoint(
        method="GET",
        path="/v1/letters/{id}",
        listeners=APPLICATIONS,
        handler=letter,
        summary="A letter as it stands",
        work=Work.READ,
        parameters=(_LETTER,),
        answers=(Answer(200, "The letter.", json_of(Letter)),),
        errors=(NotFound, *_READING),
    ),
    Endpoint(
        method="GET",
        path="/v1/letters/{id}/events",
        listeners=APPLICATIONS,
        handler=letter_history,
        summary="A letter's events with their seals",
        description="In order, as many as fit an answer.",
        work=Work.READ,
        parameters=(_LETTER,),
        query=(Parameter("after", "0|[1-9][0-9]{0,8}", "Number of the last event that is known.", "0"),),
        answers=(Answer(200, "Events.", json_of(LetterEvents)),),
        errors=(NotFound, *OUT_OF_ARCHIVE, *_READING),
    ),
    Endpoint(
        method="POST",
        path="/v1/letters/{id}/events",
        listeners=APPLICATIONS,
        handler=letter_events,
        summary="Have an event happen to a letter",
        description=(
            "As `/v1/letters`. Of two events that race for one head, one happens; the other is told the new head."
        ),
        work=Work.SIGN,
        parameters=(_LETTER,),
        takes=json_of(EventRequest),
        limit=json_limit,
        answers=(Answer(200, "The event.", json_of(LetterAnswer)),),
        errors=(NotFound, *OUT_OF_ARCHIVE, *OF_LETTERS, BodyDamaged),
        idempotent=True,
    ),
    Endpoint(
        method="POST",
        path="/v1/letters/{id}/drafts",
        listeners=APPLICATIONS,
        handler=letter_event_drafts,
        summary="Show what approvers would sign for an event",
        description=(
            "Judged as the event itself would be. Nothing is signed or recorded. `needed` says how many approve "
            "at each step; see docs/letters.md."
        ),
        work=Work.READ,
        parameters=(_LETTER,),
        takes=json_of(EventRequest),
        limit=json_limit,
        answers=(Answer(200, "The draft.", json_of(Draft)),),
        errors=(
            NotFound,
            NotPermitted,
            TimeNotShown,
            HeadMoved,
            *OUT_OF_ARCHIVE,
            *JUDGING,
            ApprovalMissing,
            *_READING,
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/evidence/{letter}",
        listeners=APPLICATIONS,
        handler=evidence,
        summary="A letter's evidence, one file",
        description=(
            "ASiC-E (ETSI EN 319 162-1): every event with its seal, its record and its proof in the log, revocation "
            "lists, and a page for people. The same bytes each time until the letter has another event. "
            "`cinnabar verify` checks it offline."
        ),
        work=Work.READ,
        parameters=(Parameter("letter", "[0-9a-f]{32}", "Id of a letter.", "0" * 32),),
        query=(Parameter("disclose", "[a-z0-9_,]{1,1000}", "Hidden fields to disclose, by name.", "bidder"),),
        answers=(Answer(200, "The evidence file.", (Body(ASIC_E),)),),
        errors=(NotFound, *OUT_OF_ARCHIVE, EvidenceTooLarge, EvidenceNotReady, LogDamaged, *_READING),
    ),
    Endpoint(
        method="GET",
        path="/v1/evidence/{letter}/anchors",
        listeners=APPLICATIONS,
        handler=anchors,
        summary="A letter's anchors, for an older evidence file",
        description=(
            "Of each ledger that the box anchors its log on, the first final anchor that covers the letter's first "
            "`events` events, counted with those of letters that it was split off from: what `cinnabar evidence "
            "refresh` adds to a file. They tell nothing of other tenants."
        ),
        work=Work.READ,
        parameters=(Parameter("letter", "[0-9a-f]{32}", "Id of a letter.", "0" * 32),),
        query=(Parameter("events", "[1-9][0-9]{0,5}", "How many events the file holds; all, if left out.", "1"),),
        answers=(Answer(200, "The anchors.", json_of(LetterAnchors)),),
        errors=(NotFound, *OUT_OF_ARCHIVE, EvidenceTooLarge, EvidenceNotReady, LogDamaged, *_READING),
    ),
    Endpoint(
        method="GET",
        path="/v1/evidence/{letter}/court",
        listeners=APPLICATIONS,
        handler=court_evidence,
        summary="A letter's evidence with a package for a court",
        description=(
            "As `/v1/evidence/{letter}`, and with it who did what, from where and with whose consent, the approvals, "
            "what the box says of its clock, its keys and its software, and a page that certifies it, Chinese and "
            "English. The package is sealed and recorded each time that it is asked for."
        ),
        work=Work.SIGN,
        parameters=(Parameter("letter", "[0-9a-f]{32}", "Id of a letter.", "0" * 32),),
        query=(Parameter("disclose", "[a-z0-9_,]{1,1000}", "Hidden fields to disclose, by name.", "bidder"),),
        answers=(Answer(200, "The evidence file.", (Body(ASIC_E),)),),
        errors=(NotFound, *OUT_OF_ARCHIVE, EvidenceTooLarge, EvidenceNotReady, LogDamaged, *OF_COURT, BodyDamaged),
    ),
    Endpoint(
        method="GET",
        path="/v1/release-key",
        listeners=APPLICATIONS,
        handler=release_key,
        summary="The key that values are veiled to",
        description="Senders encrypt to it and to a code that they keep; see docs/veil.md.",
        work=Work.READ,
        answers=(Answer(200, "The newest active release key of the caller's tenant.", json_of(ReleaseKey)),),
        errors=(NotFound, KeyStopped, KeyExpired),
    ),
    Endpoint(
        method="POST",
        path="/v1/check",
        listeners=_PUBLIC,
        handler=check,
        summary="Check a letter by its code and its second field",
        description=(
            "Anybody who holds the letter is told what its kind makes public, and its state. A wrong code and a wrong "
            "field are answered alike."
        ),
        work=Work.READ,
        takes=json_of(CheckRequest),
        answers=(Answer(200, "The letter.", json_of(CheckedLetter)),),
        errors=(NoSuchLetter, RecorderUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/v1/check/pair",
        listeners=_PUBLIC,
        handler=check_pair,
        summary="Check a letter by a pair of its fields",
        description=(
            "By the two fields that the kind names, whoever knows both is told what it makes public; from the time on "
            "that the kind names. What is unknown, wrong, or not to be told yet is answered alike."
        ),
        work=Work.READ,
        takes=json_of(PairRequest),
        answers=(Answer(200, "The letters.", json_of(FoundLetters)),),
        errors=(NoSuchLetter, TokenUnavailable, TimeNotShown, RecorderUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/v1/check/file",
        listeners=_PUBLIC,
        handler=check_file,
        summary="Check a letter by its PDF or its evidence file",
        description=(
            "How the letter stands that the file is of: a PDF that this box made, by its SHA-256; or evidence in which "
            "everything passes under the box's own trust bundle. What is unknown, foreign, changed or not to be told "
            "is answered alike."
        ),
        work=Work.READ,
        takes=(
            Body("application/pdf", None, "The letter's PDF."),
            Body(ASIC_E, None, "The letter's evidence, with at most 64 seals."),
        ),
        limit=_file,
        answers=(Answer(200, "The letter.", json_of(FoundLetters)),),
        errors=(NoSuchLetter, TokenUnavailable, RecorderUnavailable, *_BY_FILE),
    ),
    Endpoint(
        method="GET",
        path="/",
        listeners=_PUBLIC,
        handler=landing_page,
        summary="The page on which checking a letter begins",
        description="A field for the code, the kinds whose letters are found by a pair of fields, one for the file.",
        work=Work.READ,
        query=(Parameter("code", r"[\s\S]{0,200}", "Code of a letter as it was typed.", "0" * 32),),
        answers=_CODE_PAGES,
    ),
    Endpoint(
        method="GET",
        path="/letters/find",
        listeners=_PUBLIC,
        handler=find_page,
        summary="The page on which a letter is found without its code",
        work=Work.READ,
        query=(Parameter("kind", _NAME, "A kind with a pair of fields.", "bid-bond"),),
        answers=(Answer(200, "The page.", (Body(MEDIA_HTML),)),),
    ),
    Endpoint(
        method="POST",
        path="/letters/find",
        listeners=_PUBLIC,
        handler=find_answer,
        summary="The page's answer to a pair of fields",
        work=Work.READ,
        takes=(Body(MEDIA_FORM, None, "`kind`, `first`, `second`"),),
        answers=_FOUND,
        errors=(TokenUnavailable, TimeNotShown, RecorderUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/letters/file",
        listeners=_PUBLIC,
        handler=file_answer,
        summary="The page's answer to a file",
        work=Work.READ,
        takes=(Body(MEDIA_MULTIPART, None, "`file`: the letter's PDF, or its evidence file"),),
        limit=_file,
        answers=_FOUND,
        errors=(TokenUnavailable, RecorderUnavailable, *_BY_FILE),
    ),
    Endpoint(
        method="GET",
        path="/letters/style.css",
        listeners=_PUBLIC,
        handler=check_style,
        summary="The style of the pages on which letters are checked",
        work=Work.READ,
        answers=(Answer(200, "The style.", (Body("text/css"),)),),
    ),
    Endpoint(
        method="GET",
        path="/letters/{code}",
        listeners=_PUBLIC,
        handler=check_page,
        summary="The page on which a letter is checked",
        description="Where the QR of a letter leads; Chinese and English, without script.",
        work=Work.READ,
        parameters=(_TYPED_CODE,),
        answers=_CODE_PAGES,
    ),
    Endpoint(
        method="POST",
        path="/letters/{code}",
        listeners=_PUBLIC,
        handler=check_form,
        summary="The page's answer",
        work=Work.READ,
        parameters=(_TYPED_CODE,),
        takes=(Body(MEDIA_FORM, None, "`second`: the second field"),),
        answers=(
            Answer(200, "The letter as its kind makes it public.", (Body(MEDIA_HTML),)),
            Answer(404, "There is no such letter.", (Body(MEDIA_HTML),)),
        ),
        errors=(RecorderUnavailable,),
    ),
)
