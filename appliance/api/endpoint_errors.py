"""The errors that endpoints share, by what they do."""

from __future__ import annotations

from typing import Final

from appliance.api.application import TokenUnavailable
from appliance.api.errors import NotPermitted
from appliance.clock import TimeNotShown
from appliance.documents.errors import GENERAL as OF_DOCUMENTS
from appliance.documents.errors import FontsMissing, NotRendered
from appliance.errors import CinnabarError
from appliance.letters.errors import (
    ApprovalMissing,
    ConditionNotMet,
    DisclosureRefused,
    DocumentNotInOrder,
    EnvelopeDamaged,
    EnvelopeElsewhere,
    EnvelopeRefused,
    EventRefused,
    FieldRefused,
    IdsNotGiven,
    KindUnknown,
    OpenedTooEarly,
    PartyMissing,
    RecipientRefused,
    RoleMissing,
    SealObjectRefused,
    WeakCode,
    WrongCode,
)
from appliance.pdf import PageRefused, PdfRefused
from appliance.recorder.errors import (
    BillMoved,
    HeadMoved,
    IdempotencyConflict,
    IdempotencyKeyAhead,
    IdempotencyKeyExpired,
    IdempotencyKeyInvalid,
    IssuingStopped,
    KeyExhausted,
    KeyExpired,
    KeyStopped,
    LimitExceeded,
    LimitNeedsApproval,
    OutcomeUnknown,
    QuotaExceeded,
    ReadOnly,
    RecorderUnavailable,
    ShareExceeded,
    Taken,
    TallyExceeded,
    ValueExceeded,
)
from appliance.seals import (
    CertificateNotValid,
    ContentMismatch,
    PreparedExpired,
    PreparedRejected,
    SealRefused,
    SignedDataRejected,
)
from appliance.timestamps import StampRejected, TimeRanBackwards, UnitStopped

SIGNING: Final[tuple[type[CinnabarError], ...]] = (
    NotPermitted, TokenUnavailable, RecorderUnavailable, OutcomeUnknown, ReadOnly, IdempotencyConflict,
    IdempotencyKeyInvalid, IdempotencyKeyExpired, IdempotencyKeyAhead, TimeNotShown, KeyStopped, KeyExpired,
    KeyExhausted, QuotaExceeded,
)  # fmt: skip
STAMPING: Final = (*SIGNING, StampRejected, UnitStopped, TimeRanBackwards)
SEALING: Final = (
    *STAMPING, SealRefused, CertificateNotValid, PreparedRejected, PreparedExpired, SignedDataRejected,
    ContentMismatch, *OF_DOCUMENTS,
)  # fmt: skip
JUDGING: Final[tuple[type[CinnabarError], ...]] = (
    KindUnknown, IdsNotGiven, FieldRefused, EventRefused, RoleMissing, PartyMissing, ConditionNotMet, EnvelopeRefused,
    EnvelopeElsewhere, EnvelopeDamaged, RecipientRefused, DisclosureRefused, *OF_DOCUMENTS,
)  # fmt: skip
LETTERS: Final = (
    *STAMPING, CertificateNotValid, *JUDGING, ApprovalMissing, FontsMissing, NotRendered, PageRefused, OpenedTooEarly,
    WeakCode, WrongCode, PdfRefused, SealObjectRefused, DocumentNotInOrder, HeadMoved, Taken, ValueExceeded,
    TallyExceeded, LimitExceeded, LimitNeedsApproval, ShareExceeded, IssuingStopped, BillMoved,
)  # fmt: skip
COURT: Final[tuple[type[CinnabarError], ...]] = (
    *STAMPING, CertificateNotValid, KindUnknown, FontsMissing, NotRendered, PageRefused, *OF_DOCUMENTS,
)  # fmt: skip
