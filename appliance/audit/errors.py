"""What the audit process refuses."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Conflict, NotFound, Unavailable

NO_SUCH_LOG = "there is no such log"


class FilterRefused(BadRequest):
    """A filter, a page or an export that cannot be understood."""

    code = "filter-refused"
    title = "The filter cannot be understood"


class UnknownExport(NotFound):
    """No such export of this life of the audit process: a restarted one knows no export of its last life."""

    code = "export-unknown"
    title = "There is no such export"


class ExportNotMade(Conflict):
    """The export is not finished, was cancelled, or failed."""

    code = "export-not-made"
    title = "The export is not there to be read"


class TooManyExports(Unavailable):
    """As many exports of the log run as the audit process makes at a time."""

    code = "too-many-exports"
    title = "Too many exports run"


class NoRoomForExport(Unavailable):
    """The disk is nearly full: what is left of it is for records."""

    code = "no-room-for-export"
    title = "There is no room for an export"
    status = 507


class RecordDamaged(CinnabarError):
    """A stored record is not what its log's leaf was made of (control APPEND)."""

    code = "record-damaged"
    title = "A stored record is not what stands in the log"
    control = "APPEND"


class AuditUnavailable(Unavailable):
    """The audit process does not answer."""

    code = "audit-unavailable"
    title = "The audit process does not answer"
