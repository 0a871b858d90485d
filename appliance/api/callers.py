"""Who calls: the SHA-256 of the whole client certificate, found in the recorder's register at every request.

Never a name out of the certificate. What is remembered between requests is only which header text has which digest; the
register is asked each time, so a revocation acts on connections that are already open (control CHANNEL).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from appliance.api.errors import BadCertificateHeader, NotPermitted, UnknownCaller
from appliance.ceremonies.actions import PARTY
from appliance.errors import NotFound
from appliance.recorder.messages import Register

BOX = "@box"
"""The box itself as an application (appliance.recorder.register)."""
_REMEMBERED = 1_024
_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"
PARTNER = "partner-"
"""Before a partner's name among an application's permissions."""
ROLE = "role-"
"""Before a role's name among them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An application, as the register has it now."""

    certificate: bytes
    """SHA-256 of the DER certificate."""
    application: str
    tenant: str
    permissions: frozenset[str]
    not_before: int
    not_after: int
    """Seconds since the epoch, both inclusive (RFC 5280, section 4.1.2.5)."""
    partners: frozenset[str] = frozenset()
    """As which partners of its tenant the caller sends messages; such a caller may do nothing else."""
    roles: frozenset[str] = field(init=False)
    """In which it asks for letters' events; "*" for all."""
    parties: frozenset[str] = field(init=False)
    """Ids of those that it acts for; "*" for all."""

    def __post_init__(self) -> None:
        given = self.permissions
        roles = frozenset(one.removeprefix(ROLE) for one in given if one.startswith(ROLE) or one == "*")
        parties = frozenset(one.removeprefix(PARTY) for one in given if one.startswith(PARTY))
        object.__setattr__(self, "roles", roles)
        object.__setattr__(self, "parties", parties)

    def may_use(self, key: str) -> bool:
        """Whether the caller may use the unit or seal key of this name, if that is its tenant's."""
        return key in self.permissions or "*" in self.permissions

    def authorise(self, key: str) -> None:
        """Raises NotPermitted where the caller may not use the unit or seal key of this name."""
        if key not in self.permissions and "*" not in self.permissions:
            raise NotPermitted("This application may not use that unit or key.")


def certificate_digest(header: bytes) -> bytes:
    """SHA-256 of the DER inside nginx's $ssl_client_escaped_cert: one percent-encoded PEM certificate.

    Raises BadCertificateHeader for anything else.
    """
    pem = unquote_to_bytes(header).strip()
    if not (pem.startswith(_BEGIN) and pem.endswith(_END)) or pem.count(_BEGIN) != 1:
        raise BadCertificateHeader("The header is not one PEM certificate.")
    try:
        der = base64.b64decode(b"".join(pem[len(_BEGIN) : -len(_END)].split()), validate=True)
    except binascii.Error:
        raise BadCertificateHeader("The header is not one PEM certificate.") from None
    return hashlib.sha256(der).digest()


def public_certificate(unit: str) -> bytes:
    """What stands in the register, where a certificate's digest stands otherwise, for the TSA listener of a unit.

    It is no certificate's digest, so nobody can present it; suspending that entry closes the listener for the unit.
    """
    return hashlib.sha256(b"cinnabar public unit v1\n" + unit.encode()).digest()


class Callers:
    """Looks callers up. `update` takes each register that the recorder pushes."""

    def __init__(self) -> None:
        self._register: Register | None = None
        self._by_certificate: dict[bytes, Caller] = {}
        self._boxes: dict[str, Caller] = {}
        self._tenants: frozenset[str] = frozenset()
        self._digests: dict[bytes, bytes] = {}

    @property
    def tenants(self) -> frozenset[str]:
        """Tenants that are active now."""
        return self._tenants

    def box_of(self, tenant: str) -> Caller | None:
        """The box itself as an application of an active tenant; None where that is suspended."""
        caller = self._boxes.get(tenant)
        return caller if tenant in self._tenants else None

    def ends(self) -> int | None:
        """When the first of the active callers' certificates ends, seconds since the epoch; None without callers."""
        ends = [caller.not_after for caller in self._by_certificate.values() if caller.application != BOX]
        return min(ends, default=None)

    def update(self, register: Register) -> None:
        """Replace the whole register."""
        if register is self._register:
            return
        self._by_certificate = {
            entry.certificate: Caller(
                entry.certificate,
                entry.application,
                entry.tenant,
                frozenset(entry.permissions),
                entry.not_before,
                entry.not_after,
                frozenset(one.removeprefix(PARTNER) for one in entry.permissions if one.startswith(PARTNER)),
            )
            for entry in register.applications
        }
        self._boxes = {one.tenant: one for one in self._by_certificate.values() if one.application == BOX}
        self._tenants = frozenset(register.tenants)
        self._register = register

    def find(self, header: bytes | None, now: float) -> Caller:
        """The caller whose certificate the front passed on. `now`: seconds since the epoch. Raises UnknownCaller."""
        if not header:
            raise UnknownCaller("This listener answers known client certificates only.")
        digest = self._digests.get(header)
        remembered = digest is not None
        if digest is None:
            digest = certificate_digest(header)
        caller = self._by_certificate.get(digest)
        if caller is None or not caller.not_before <= now <= caller.not_after or caller.tenant not in self._tenants:
            raise UnknownCaller("This listener answers known client certificates only.")
        if not remembered:  # only texts of known callers, so that strangers cannot fill the memory
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
            self._digests[header] = digest
        return caller

    def of_certificate(self, digest: bytes) -> Caller:
        """The caller of a certificate that made what is carried on. Raises NotPermitted where it is active no more."""
        caller = self._by_certificate.get(digest)
        if caller is None or caller.tenant not in self._tenants:
            raise NotPermitted("The certificate that asked for this is not active any more.")
        return caller

    def find_public(self, unit: str, now: float) -> Caller:
        """Whom a request on the TSA listener is charged to: the unit's tenant. Raises NotFound without one."""
        caller = self._by_certificate.get(public_certificate(unit))
        if caller is None or not caller.not_before <= now <= caller.not_after or caller.tenant not in self._tenants:
            raise NotFound("There is no such time-stamping unit here.")
        return caller
