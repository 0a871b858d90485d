"""Kinds' files in the evidence of a letter: they give titles, and the rules by which pages are made."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.asic.names import kind_name
from appliance.evidence.findings import Journal
from appliance.evidence.letters.layout import Layout
from appliance.letters.errors import KindRefused
from appliance.letters.kind import LoadedKind, read_kind
from appliance.quoting import escape, quote


def kinds_of(layout: Layout, given: Sequence[LoadedKind], journal: Journal) -> dict[str, LoadedKind]:
    """By SHA-256: those in the file, which events name, and those given. One that cannot be read, as of a later
    version, refutes nothing."""
    kinds = {one.digest: one for one in given}
    references = {event.kind.digest: event.kind for event, _ in layout.events}
    for digest, content in layout.kinds.items():
        name, reference = quote(kind_name(digest)), references[digest]
        try:
            loaded = read_kind(content)
        except KindRefused as error:
            journal.note("kind", f"{name} cannot be read as a kind: {escape(str(error))}.")
            continue
        if (loaded.kind.id, loaded.kind.version) != (reference.id, reference.version):
            journal.note("kind", f"{name} is of another kind or version than the events say. Titles are not from it.")
            continue
        kinds[digest] = loaded
        journal.passed(
            "kind",
            f"{name} is the file that the events name by its SHA-256: {loaded.kind.id}, version "
            f"{loaded.kind.version}. Titles are from it.",
        )
    return kinds
