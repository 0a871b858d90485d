"""What can be wrong with a seal, its request or what is brought with it."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Conflict


class SealRefused(BadRequest):
    """The seal key's profile does not make such a seal: digest algorithm, digest length, option, time."""

    code = "seal-refused"
    title = "The seal key does not make such a seal"


class CertificateUnfit(CinnabarError):
    """The certificate set for a seal key cannot serve it; found when the profile is made, at start."""

    code = "seal-certificate-unfit"
    title = "The certificate does not fit the seal key"


class CertificateNotValid(CinnabarError):
    """The seal key's certificate is not valid at the time of signing."""

    code = "seal-certificate-not-valid"
    status = 503
    title = "The certificate of the seal key is not valid now"


class PreparedRejected(BadRequest):
    """The value is not one that this profile prepared: it does not decode, or what it claims is not what it signs."""

    code = "prepared-rejected"
    title = "The prepared seal is not one that this seal key prepared"


class PreparedExpired(Conflict):
    """The signing time of a prepared seal lies outside the window in which it may be completed."""

    code = "prepared-expired"
    title = "The prepared seal is too old to be completed"


class SignedDataRejected(BadRequest):
    """The CMS that was brought is not a SignedData to which a signature or a time-stamp can be added."""

    code = "signed-data-rejected"
    title = "The CMS is not one that can be added to"


class ContentMismatch(Conflict):
    """What was brought (a document, a CMS, a time-stamp) covers other content than what is to be sealed."""

    code = "content-mismatch"
    title = "What was brought covers other content"


class JsonRejected(BadRequest):
    """The document is not JSON that has one canonical form (RFC 8785); the message says where, as a JSON pointer."""

    code = "json-rejected"
    title = "The JSON document has no single meaning"
