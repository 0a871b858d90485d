"""Settings of a ledger of type rfc3161: time-stamping authorities of others (RFC 3161)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.box.ledgers.common import LedgerCommon


class Rfc3161Authority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One authority, reached over HTTP (RFC 3161, section 3.4)."""

    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^@#\s]+\Z", max_length=2_000)]
    """Where it takes requests: http:// or https://, without a password."""
    ca: str | None = None
    """Path, relative to the home, of the CA certificates that its TLS certificate comes from; None: the system's."""
    password_file: str | None = None
    """Path, relative to the home, of a file with `USER:PASSWORD` for HTTP Basic; None: it asks for none."""
    policy: Annotated[str, msgspec.Meta(pattern=r"\A[0-2](?:\.(?:0|[1-9][0-9]*))+\Z")] | None = None
    """Policy to ask for, dotted decimals; None: its default."""


class Rfc3161LedgerSettings(LedgerCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rfc3161"):
    """Authorities that stand in for each other, asked in their order."""

    authorities: Annotated[list[Rfc3161Authority], msgspec.Meta(min_length=1, max_length=16)]
    revocation_lists: tuple[Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^@#\s]+\Z", max_length=2_000)], ...] = ()
    """Addresses of revocation lists, beside those that the authorities' certificates name: what was in force when a
    stamp was made goes into its receipt."""
    timeout_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0
    """Of one request to one authority; then the next is asked."""

    @property
    def secret_files(self) -> list[str]:
        return [one.password_file for one in self.authorities if one.password_file is not None]
