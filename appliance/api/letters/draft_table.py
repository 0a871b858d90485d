"""The endpoints of drafts that wait for approvals."""

from __future__ import annotations

from typing import Final

from appliance.api.bodies import BodyDamaged
from appliance.api.endpoint_errors import JUDGING
from appliance.api.endpoint_errors import LETTERS as OF_LETTERS
from appliance.api.endpoints import APPLICATIONS, APPROVALS, Answer, Endpoint, Parameter, json_limit, json_of
from appliance.api.errors import NotPermitted
from appliance.api.letters.draft_schemas import DraftEvent, KeepRequest, KeptDraft, KeptDrafts
from appliance.api.letters.drafts import (
    approve_draft,
    draft_event,
    keep_draft,
    kept_draft,
    kept_drafts,
    withdraw_draft,
)
from appliance.api.letters.kept import DraftStale
from appliance.api.letters.schemas import LetterAnswer
from appliance.api.letters.signing_pages import SigningPage, sign_by_card, sign_by_passkey, signing_page
from appliance.box.states import Work
from appliance.clock import TimeNotShown
from appliance.errors import NotFound
from appliance.letters.approvals import Assertion
from appliance.letters.errors import ApprovalMissing
from appliance.letters.event import Approval
from appliance.recorder.errors import (
    DraftMoved,
    HeadMoved,
    OutcomeUnknown,
    ReadOnly,
    RecorderUnavailable,
    SegmentNotMounted,
)
from appliance.store.segments import SegmentDamaged

_DRAFT = Parameter("draft", "[0-9a-f]{64}", "Id of a draft: the SHA-256 of its text.", "0" * 64)
_KEEPING: Final = (RecorderUnavailable, OutcomeUnknown, ReadOnly, BodyDamaged, TimeNotShown)


DRAFTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/drafts",
        listeners=APPLICATIONS,
        handler=keep_draft,
        summary="Keep a draft until its approvers have signed it",
        description=(
            "Judged as the event itself would be. Nothing is signed or recorded. The same draft is kept once. A tenant "
            "has at most 1,000 that wait."
        ),
        work=Work.SIGN,
        takes=json_of(KeepRequest),
        limit=json_limit,
        answers=(Answer(200, "The draft.", json_of(KeptDraft)),),
        errors=(NotFound, NotPermitted, HeadMoved, *JUDGING, ApprovalMissing, *_KEEPING),
    ),
    Endpoint(
        method="GET",
        path="/v1/drafts",
        listeners=APPLICATIONS,
        handler=kept_drafts,
        summary="Drafts of the tenant that wait for approvals",
        work=Work.READ,
        query=(Parameter("after", "[0-9a-f]{64}", "`next` of the page before.", "0" * 64),),
        answers=(Answer(200, "Drafts.", json_of(KeptDrafts)),),
        errors=(RecorderUnavailable, BodyDamaged, TimeNotShown),
    ),
    Endpoint(
        method="GET",
        path="/v1/drafts/{draft}",
        listeners=APPLICATIONS,
        handler=kept_draft,
        summary="A draft that waits for approvals",
        work=Work.READ,
        parameters=(_DRAFT,),
        answers=(Answer(200, "The draft.", json_of(KeptDraft)),),
        errors=(NotFound, RecorderUnavailable, BodyDamaged, TimeNotShown),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/drafts/{draft}",
        listeners=APPLICATIONS,
        handler=withdraw_draft,
        summary="Take back a draft that waits for approvals",
        description=(
            "By the application that asked for it. It takes no approvals any more and does not happen; until it "
            "expires it is shown as withdrawn, with the approvals that it had."
        ),
        work=Work.SIGN,
        parameters=(_DRAFT,),
        answers=(Answer(200, "The draft as it then stands.", json_of(KeptDraft)),),
        errors=(NotFound, NotPermitted, DraftMoved, *_KEEPING),
    ),
    Endpoint(
        method="POST",
        path="/v1/drafts/{draft}/approvals",
        listeners=APPLICATIONS,
        handler=approve_draft,
        summary="Add an approval to a draft",
        description=(
            "Its signature is its authority: any application of the tenant may bring it. It is checked at once, and "
            "again when the event happens. The same approval is added once."
        ),
        work=Work.SIGN,
        parameters=(_DRAFT,),
        takes=json_of(Approval),
        limit=json_limit,
        answers=(Answer(200, "The draft as it then stands.", json_of(KeptDraft)),),
        errors=(NotFound, ApprovalMissing, DraftMoved, DraftStale, *_KEEPING),
    ),
    Endpoint(
        method="POST",
        path="/v1/drafts/{draft}/event",
        listeners=APPLICATIONS,
        handler=draft_event,
        summary="Have a draft's event happen, with the approvals that have come",
        description="By the application that asked for the draft. The draft then waits no more.",
        work=Work.SIGN,
        parameters=(_DRAFT,),
        takes=json_of(DraftEvent),
        limit=json_limit,
        answers=(Answer(200, "The event.", json_of(LetterAnswer)),),
        errors=(NotFound, DraftStale, SegmentNotMounted, SegmentDamaged, *OF_LETTERS, BodyDamaged),
        idempotent=True,
    ),
    Endpoint(
        method="GET",
        path="/api/drafts/{draft}",
        listeners=APPROVALS,
        handler=signing_page,
        summary="A draft as the approval origin shows it",
        description="To whoever knows its id. Its text is told only while it wants approvals.",
        work=Work.READ,
        needs_caller=False,
        parameters=(_DRAFT,),
        answers=(Answer(200, "The draft.", json_of(SigningPage)),),
        errors=(NotFound, RecorderUnavailable, BodyDamaged, TimeNotShown),
    ),
    Endpoint(
        method="POST",
        path="/api/drafts/{draft}/passkey",
        listeners=APPROVALS,
        handler=sign_by_passkey,
        summary="Approve a draft with a passkey, on the approval origin",
        description="The passkey says whose approval it is; the step is the one that wants approvals now.",
        work=Work.SIGN,
        needs_caller=False,
        parameters=(_DRAFT,),
        takes=json_of(Assertion),
        limit=json_limit,
        answers=(Answer(200, "The draft as it then stands.", json_of(SigningPage)),),
        errors=(NotFound, ApprovalMissing, DraftMoved, DraftStale, *_KEEPING),
    ),
    Endpoint(
        method="POST",
        path="/api/drafts/{draft}/approvals",
        listeners=APPROVALS,
        handler=sign_by_card,
        summary="Bring an approval that was made elsewhere, as a card's is, to the approval origin",
        work=Work.SIGN,
        needs_caller=False,
        parameters=(_DRAFT,),
        takes=json_of(Approval),
        limit=json_limit,
        answers=(Answer(200, "The draft as it then stands.", json_of(SigningPage)),),
        errors=(NotFound, ApprovalMissing, DraftMoved, DraftStale, *_KEEPING),
    ),
)
