"""The desk from the other side: one blocking connection, a typed method for each call. Not for several threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import appliance.ceremonies
import appliance.keymaster.errors  # noqa: F401
from appliance.calls.client import CallClient
from appliance.errors import Unavailable


class DeskUnavailable(Unavailable):
    """The keymaster does not answer."""

    code = "keymaster-unavailable"
    title = "The keymaster does not answer"


class DeskClient(CallClient):
    """The keymaster's desk. Nothing that is asked here has authority; officers' signatures have."""

    unavailable = DeskUnavailable

    def status(self) -> dict[str, Any]:
        """How the keymaster stands: constitution, executions, actions that it serves."""
        return self.call("status")  # type: ignore[no-any-return]

    def constitution(self, digest: str = "") -> bytes:
        """The constitution of that digest, canonical; else the one in force. Empty before the founding."""
        return self.call("constitution", digest)  # type: ignore[no-any-return]

    def draft(self, requester: str, title: str, reason: str, actions: bytes, hours: int = 24) -> bytes:
        """The canonical bytes of a proposal that would be taken now. `actions`: a JSON list. Nothing is kept."""
        return self.call("draft", requester, title, reason, actions, hours)  # type: ignore[no-any-return]

    def rehearse(self, proposal: bytes) -> list[dict[str, Any]]:
        """What a proposal (canonical bytes, submitted or not) would do, tried on throwaway tokens: a step each, with
        step, action, outcome (done, failed, not-in-a-token), facts, differs, error, refused. Nothing is kept."""
        return self.call("rehearse", proposal)  # type: ignore[no-any-return]

    def submit(self, proposal: bytes) -> str:
        """Take a proposal in; its digest."""
        return self.call("submit", proposal)  # type: ignore[no-any-return]

    def proposals(self, scopes: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Summaries of the proposals that touch one of the scopes (None: all), the newest first."""
        return self.call("proposals", None if scopes is None else list(scopes))  # type: ignore[no-any-return]

    def proposal(self, digest: str) -> dict[str, Any]:
        """proposal and statements (canonical bytes), tally, state, steps; waiting: what it asks at the console now."""
        return self.call("proposal", digest)  # type: ignore[no-any-return]

    def state_(self, statement: bytes) -> dict[str, Any]:
        """Hand in an officer's statement; the summary of the proposal after it."""
        return self.call("state", statement)  # type: ignore[no-any-return]

    def execute(self, digest: str, patience_s: float = 0.0) -> dict[str, Any]:
        """Begin to execute, wait for the end for up to `patience_s` (at most 30) seconds; the summary then."""
        return self.call("execute", digest, patience_s)  # type: ignore[no-any-return]

    def transcript(self, digest: str) -> dict[str, Any]:
        """Everything that happened, with times and leaf indexes; outputs as bytes by step and name."""
        return self.call("transcript", digest)  # type: ignore[no-any-return]

    def bundle(self, digest: str) -> bytes:
        """The record bundle of a ceremony that has ended (docs/ceremonies.md); it may wait some seconds for logs."""
        return self.call("bundle", digest)  # type: ignore[no-any-return]

    def candidates(self) -> list[dict[str, Any]]:
        """Who has made a credential and is not yet an officer by it."""
        return self.call("candidates")  # type: ignore[no-any-return]

    def invite(self, person: str, name: str) -> str:
        """A one-time code for an enrolment link: it carries no authority."""
        return self.call("invite", person, name)  # type: ignore[no-any-return]

    # What pages show: public facts

    def inventory(self, scopes: Sequence[str]) -> list[dict[str, Any]]:
        """The keys of these scopes with their certificates (appliance.keymaster.answers.ShownKey)."""
        return self.call("inventory", list(scopes))  # type: ignore[no-any-return]

    def key_attributes(self, token: str, uri: str) -> dict[str, Any]:
        """What a token says of a key now. Raises NotFound, and what the token fails with."""
        return self.call("key_attributes", token, uri)  # type: ignore[no-any-return]

    def tenants(self) -> list[dict[str, Any]]:
        """Every tenant: state, token, log, quota, and what is used of it today."""
        return self.call("tenants")  # type: ignore[no-any-return]

    def applications(self, tenant: str) -> list[dict[str, Any]]:
        """A tenant's applications with permissions, states and certificates."""
        return self.call("applications", tenant)  # type: ignore[no-any-return]

    def policies(self, tenant: str) -> list[bytes]:
        """The newest version of each of a tenant's approval policies, canonical."""
        return self.call("policies", tenant)  # type: ignore[no-any-return]

    def seal_objects(self, tenant: str) -> list[bytes]:
        """The newest version of each of a tenant's seal objects, canonical."""
        return self.call("seal_objects", tenant)  # type: ignore[no-any-return]

    def missing_policies(self, tenant: str) -> list[dict[str, Any]]:
        """The approval policies that a tenant's kinds ask for and that nobody has set, as actions to begin with."""
        return self.call("missing_policies", tenant)  # type: ignore[no-any-return]

    def approving(self) -> dict[str, list[str]]:
        """Tenant to the persons of the constitution that its approval policies name."""
        return self.call("approving")  # type: ignore[no-any-return]

    def kinds(self, tenant: str) -> list[bytes]:
        """The file of the newest version of each of a tenant's kinds of letters."""
        return self.call("kinds", tenant)  # type: ignore[no-any-return]

    def kind_versions(self, tenant: str) -> list[bytes]:
        """The file of every version of each of a tenant's kinds; of one kind, the oldest first."""
        return self.call("kind_versions", tenant)  # type: ignore[no-any-return]

    def updates(self) -> list[bytes]:
        """Every approved update, canonical."""
        return self.call("updates")  # type: ignore[no-any-return]
