"""Why a certificate is not issued."""

from __future__ import annotations

from appliance.errors import BadRequest, Conflict, NotAuthorised, Unavailable


class SecretRefused(NotAuthorised):
    """The one-time secret of an enrolment is missing, wrong, used, or too old: they answer alike."""

    code = "enrolment-secret-refused"
    status = 401
    title = "The enrolment's secret is not, or no longer, valid"
    control = "CHANNEL"


class EnrolmentRefused(NotAuthorised):
    """The profile does not permit it: it has ended, or the application, its certificate or tenant is stopped."""

    code = "enrolment-refused"
    title = "No certificate is issued for this caller"
    control = "QUORUM"


class RequestRefused(BadRequest):
    """The PKCS#10 request is not one that the profile permits: form, proof of possession, key, or name."""

    code = "enrolment-request-refused"
    title = "The request for a certificate is refused"


class EnrolmentFull(Conflict):
    """As many certificates of the profile as it permits are in force."""

    code = "enrolment-full"
    title = "The profile permits no further certificate now"


class EnrolmentUnavailable(Unavailable):
    """The keymaster does not answer now, or may not issue while the box is locked."""

    code = "enrolment-unavailable"
    title = "No certificates are issued now"
