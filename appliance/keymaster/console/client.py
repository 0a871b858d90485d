"""The console from the other side: calls over the console's socket, for the screen and for the commands."""

from __future__ import annotations

from typing import Any

from appliance.calls.client import CallClient
from appliance.keymaster.client import DeskUnavailable


class ConsoleClient(CallClient):
    """What `cinnabar console` asks; see appliance.keymaster.console.server.Console."""

    unavailable = DeskUnavailable

    def status(self) -> dict[str, Any]:
        return self.call("status")  # type: ignore[no-any-return]

    def constitution(self) -> bytes:
        return self.call("constitution")  # type: ignore[no-any-return]

    def candidates(self) -> list[dict[str, Any]]:
        return self.call("candidates")  # type: ignore[no-any-return]

    def code(self, identifier: str) -> str:
        """A one-time code for the candidate to type into her page."""
        return self.call("code", identifier)  # type: ignore[no-any-return]

    def card(self, person: str, name: str, certificate: bytes, digits: str) -> dict[str, Any]:
        """Confirm an officer's card, whose fingerprint she has read out."""
        return self.call("card", person, name, certificate, digits)  # type: ignore[no-any-return]

    def discard(self, identifier: str) -> None:
        self.call("discard", identifier)

    def invite(self, person: str, name: str) -> str:
        return self.call("invite", person, name)  # type: ignore[no-any-return]

    def enrolment_links(self) -> str:
        """Where a code of `invite` is to be opened: the address before it."""
        return self.call("enrolment_links")  # type: ignore[no-any-return]

    def rules(self) -> dict[str, Any]:
        """The rules of approval that hold: rules, digest."""
        return self.call("rules")  # type: ignore[no-any-return]

    def give_rules(self, models: list[str], makers: list[bytes], origins: list[str], hours: int) -> dict[str, Any]:
        """Rules for the first enrolments and the founding, as `rules` then. `makers`: certificates, DER."""
        return self.call("give_rules", models, makers, origins, hours)  # type: ignore[no-any-return]

    def prepare_founding(self, threshold: int, scopes: dict[str, list[str]]) -> dict[str, Any]:
        """The first constitution as it would be, its digest and words."""
        return self.call("prepare_founding", threshold, scopes)  # type: ignore[no-any-return]

    def found(self, digest: str, words: str) -> int:
        return self.call("found", digest, words)  # type: ignore[no-any-return]

    def proposals(self) -> list[dict[str, Any]]:
        return self.call("proposals")  # type: ignore[no-any-return]

    def proposal(self, digest: str) -> dict[str, Any]:
        return self.call("proposal", digest)  # type: ignore[no-any-return]

    def lock(self) -> None:
        self.call("lock")

    def stop(self) -> None:
        self.call("stop")

    def pending(self) -> list[dict[str, Any]]:
        return self.call("pending")  # type: ignore[no-any-return]

    def text(self, number: int) -> str:
        """What a ceremony shows, once."""
        return self.call("text", number)  # type: ignore[no-any-return]

    def answer(self, number: int, text: str) -> None:
        self.call("answer", number, text)

    def give_up(self, number: int) -> None:
        """End a question at once; its step fails."""
        self.call("give_up", number)
