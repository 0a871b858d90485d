"""Limits and tariffs of a tenant, and issuing that is stopped and let go on: decided by its officers, in ceremonies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.ceremonies.actions import ResumeIssuing, SetLetterTerms, StopIssuing
from appliance.letters.kind import Kind, read_kind
from appliance.letters.shipped import shipped
from firmware_tests.mgmt_service.managed import ManagedBox


def put_in_force(hall: ManagedBox, tenant: str, text: str) -> None:
    """A file of limits or a tariff, without its version: the next one is given."""
    form = "tariff" if "cinnabar-tariff" in text else "limits"
    with hall.running.admin() as admin:
        known = [version for found, version, _, _ in admin.query("letter_terms", tenant) if found == form]
    head, _, rest = text.lstrip().partition("\n")
    hall.decide(SetLetterTerms(tenant=tenant, terms=f"{head}\nversion = {len(known) + 1}\n{rest}"))


@contextmanager
def limited(hall: ManagedBox, tenant: str, text: str) -> Iterator[None]:
    """Limits while something is shown; then none, so that other stories have the tenant as it was."""
    put_in_force(hall, tenant, text)
    try:
        yield
    finally:
        put_in_force(hall, tenant, 'format = "cinnabar-limits/1"\n')


def kinds_at_hand() -> dict[str, Kind]:
    """The kinds that ship, by the digest of their files."""
    loaded = [read_kind(text) for text in shipped().values()]
    return {one.digest: one.kind for one in loaded}


def let_go_on(hall: ManagedBox, tenant: str, kind: str) -> None:
    """The quorum lets letters of a kind be issued again."""
    hall.decide(ResumeIssuing(tenant=tenant, kind=kind, because="已处置"))


def stop(hall: ManagedBox, tenant: str, kind: str, because: str) -> None:
    """One officer stops the issuing of a kind."""
    hall.one_word(StopIssuing(tenant=tenant, kind=kind, because=because))
