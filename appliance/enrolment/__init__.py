"""Certificates without a person: what a profile permits, and what a request for a certificate must be (EST, RFC 7030).

Rules without I/O, the errors that both sides know, and the API workers' way to the keymaster. Who decides, keeps count
and issues stands in appliance.keymaster.certificates.enrolling.
"""

from appliance.enrolment.calls import Enroller
from appliance.enrolment.errors import (
    EnrolmentFull,
    EnrolmentRefused,
    EnrolmentUnavailable,
    RequestRefused,
    SecretRefused,
)
from appliance.enrolment.names import NamePattern
from appliance.enrolment.request import REQUEST_BYTES, CertificateRequest, read_request

__all__ = [
    "REQUEST_BYTES",
    "CertificateRequest",
    "Enroller",
    "EnrolmentFull",
    "EnrolmentRefused",
    "EnrolmentUnavailable",
    "NamePattern",
    "RequestRefused",
    "SecretRefused",
    "read_request",
]
