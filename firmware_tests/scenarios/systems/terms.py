"""Limits and tariffs of a tenant, put in force at the recorder: this town's box has no officers yet. How a quorum sets
them is shown by the tests of ceremonies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.letters.kind import Kind, read_kind
from appliance.letters.shipped import shipped
from firmware_tests.running import RunningBox


def put_in_force(box: RunningBox, tenant: str, text: str) -> None:
    """A file of limits or a tariff, without its version: the next one is given."""
    form = "tariff" if "cinnabar-tariff" in text else "limits"
    with box.admin() as admin:
        known = [version for found, version, _, _ in admin.query("letter_terms", tenant) if found == form]
        head, _, rest = text.lstrip().partition("\n")
        admin.set_letter_terms(tenant, f"{head}\nversion = {len(known) + 1}\n{rest}".encode())


@contextmanager
def limited(box: RunningBox, tenant: str, text: str) -> Iterator[None]:
    """Limits while something is shown; then none, so that other stories have the tenant as it was."""
    put_in_force(box, tenant, text)
    try:
        yield
    finally:
        put_in_force(box, tenant, 'format = "cinnabar-limits/1"\n')


def kinds_at_hand() -> dict[str, Kind]:
    """The kinds that ship, by the digest of their files."""
    loaded = [read_kind(text) for text in shipped().values()]
    return {one.digest: one.kind for one in loaded}


def let_go_on(box: RunningBox, tenant: str, kind: str) -> None:
    """What a quorum does with `resume-issuing`."""
    with box.admin() as admin:
        admin.set_issuing(tenant, kind, "resumed")


def stop(box: RunningBox, tenant: str, kind: str, because: str) -> None:
    """What one officer's word does with `stop-issuing`."""
    with box.admin() as admin:
        admin.set_issuing(tenant, kind, "stopped", because)
