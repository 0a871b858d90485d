"""A person of a supervisory authority, or an investor, at the officers' pages: she reads letters, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firmware_tests.mgmt_service.managed import ManagedBox, Visitor
from firmware_tests.scenarios.systems.practice import wait_until

INSIDE = ("audit", "records", "usage", "intakes", "approvals", "tenants")
"""Pages of a tenant that are for its own people."""


@dataclass
class Overseer:
    """Signed in. Her pages' resources are what a program of hers would read."""

    visitor: Visitor
    officer: Visitor
    """Who named her."""
    person: str
    tenants: Sequence[str]

    @classmethod
    def named(cls, hall: ManagedBox, officer: Visitor, person: str, tenants: Sequence[str]) -> Overseer:
        for tenant in tenants:
            reader = {"person": person, "name": person.title(), "role": "overseer", "scope": f"tenant/{tenant}"}
            assert officer.post("/api/v1/officers/readers", json=reader).is_success
        invited = officer.post("/api/v1/officers/invite", json={"person": person, "name": person.title()})
        assert invited.is_success, invited.text
        visitor = hall.visitor()
        visitor.enrol("/enrol/" + invited.json()["link"].rpartition("/enrol/")[2], person)
        return cls(visitor, officer, person, tenants)

    def letters(self, tenant: str, **asked: str) -> list[dict[str, Any]]:
        """A page of the tenant's letters, the newest first."""
        answer = self.visitor.get(f"/api/v1/letters/{tenant}", params=asked)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["letters"]
        return found

    def letter(self, tenant: str, letter: str) -> dict[str, Any]:
        """A letter with its events and the letters that it came from, was split into or stands on."""
        answer = self.visitor.get(f"/api/v1/letters/{tenant}/{letter}")
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def evidence(self, tenant: str, letter: str) -> bytes:
        """Its evidence file, once a signed head of the log is over it."""
        path = f"/letters/{tenant}/{letter}/evidence"
        wait_until(lambda: self.visitor.get(path).status_code == 200)
        return self.visitor.get(path).content

    def status(self, path: str, **asked: str) -> int:
        """What she is answered who asks for something."""
        return self.visitor.get(f"/api/v1/{path}", params=asked).status_code

    def sees_nothing_else(self, tenant: str) -> bool:
        """Whether what is the tenant's own people's alone is refused to her."""
        return {self.status(f"{page}/{tenant}") for page in INSIDE} == {403}

    def dismissed(self, tenant: str) -> None:
        """The officer ends her reading of a tenant."""
        reader = {"person": self.person, "role": "overseer", "scope": f"tenant/{tenant}"}
        assert self.officer.post("/api/v1/officers/readers/dismiss", json=reader).is_success
