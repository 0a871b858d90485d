"""The endpoints of certificates: whether they hold (revocation lists, OCSP), and new ones (EST)."""

from __future__ import annotations

from typing import Final

from appliance.api.endpoints import APPLICATIONS, Answer, Body, Endpoint, ListenerName, Parameter, small_limit
from appliance.api.est import (
    MEDIA_ATTRIBUTES,
    MEDIA_CERTIFICATES,
    MEDIA_PKCS10,
    est_attributes,
    est_cacerts,
    est_enrol,
    est_renew,
)
from appliance.api.logs import revocation_list
from appliance.api.ocsp import MEDIA_OCSP_REQUEST, MEDIA_OCSP_RESPONSE, ocsp_get, ocsp_post
from appliance.box.settings import LimitSettings
from appliance.box.states import Work
from appliance.enrolment import (
    REQUEST_BYTES,
    EnrolmentFull,
    EnrolmentRefused,
    EnrolmentUnavailable,
    RequestRefused,
    SecretRefused,
)
from appliance.errors import NotFound

_OCSP: Final[frozenset[ListenerName]] = frozenset({"public", "revocation"})
_AUTHORITY = Parameter("name", "[a-z0-9-]{1,64}", "Name of the CA.", "box-ca")
_UNKNOWN = "Nonces are not echoed; a certificate that this CA did not issue gets `unauthorized`."


def _request(_limits: LimitSettings) -> int:
    return REQUEST_BYTES


CERTIFICATES: Final[tuple[Endpoint, ...]] = (
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
        limit=small_limit,
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
        listeners=APPLICATIONS,
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
)
