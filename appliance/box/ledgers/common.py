"""What the settings of every ledger have."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from appliance.anchors.profile import LedgerName


class LedgerCommon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Of each ledger, whatever its type."""

    caveat: ClassVar[str] = ""
    """What is to be said wherever a ledger of the type is shown; of the type, not of box.json."""

    name: LedgerName
    """What receipts and profiles call it; unique on the box."""
    profile: str
    """Path, relative to the home, of its profile (docs/anchors.md): under it every receipt is judged before its anchor
    is called final, and verifiers are given it."""
    interval_s: Annotated[int, msgspec.Meta(ge=1)] = 3_600
    """A new head of the box's log is anchored so often."""
    records: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Sooner, once the box's log and those of its tenants have so many new records together; None: never sooner. The
    times of anchors then tell every tenant how much all of them together record."""
    step_s: Annotated[float, msgspec.Meta(ge=1, le=3_600)] = 60.0
    """Longest time of one step with this ledger, in seconds."""

    @property
    def secret_files(self) -> list[str]:
        """Paths, relative to the home, of what the anchorer signs in with: its user's alone."""
        return []


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account of a chain: a key on secp256k1 in a token, which signs that chain's transactions and nothing else."""

    curve: ClassVar[Literal["secp256k1", "secp256r1"]] = "secp256k1"
    """SEC 2's name; of the type, not of box.json."""
    token: str
    """Name of a token of box.json."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""
    transactions_per_hour: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 120
    """Most transactions that are signed with it in an hour, whatever is asked: with the highest fee of one, what can be
    lost to an anchorer that was taken over, until somebody looks."""


def account_of(ledger: LedgerCommon) -> AccountSettings | None:
    """The chain account of a ledger, where its type has one."""
    account = getattr(ledger, "account", None)
    return account if isinstance(account, AccountSettings) else None
