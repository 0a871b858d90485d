"""Until when algorithms may be relied on, as a ceremony decided, and what the trust bundle says of it.

It stands in the keymaster's own directory, like the policies on witnesses: box.json alone cannot change what verifiers
go by (control QUORUM).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.evidence.bundle import AlgorithmEnd, BundleDocument
from appliance.files import sync_directory, write_file


def parse_ends(texts: Sequence[str]) -> list[AlgorithmEnd]:
    """What appliance.ceremonies.actions.AlgorithmEnd spells, in the bundle's order. Raises msgspec.ValidationError."""
    found = []
    for text in texts:
        use, _, until = text.partition("=")
        algorithm, _, bits = use.partition("<")
        given = {"algorithm": algorithm, "below_bits": int(bits) if bits else None, "until": until}
        found.append(msgspec.convert(given, AlgorithmEnd))
    return sorted(found, key=lambda one: (one.algorithm, one.below_bits or 0, one.until))


def read_ends(path: Path) -> list[AlgorithmEnd] | None:
    """None where no ceremony has decided. Raises msgspec.MsgspecError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[AlgorithmEnd])
    except FileNotFoundError:
        return None


def write_ends(path: Path, ends: Sequence[AlgorithmEnd]) -> None:
    """Durably, as a whole."""
    write_file(path, msgspec.json.encode(list(ends)), 0o600)
    sync_directory(path.parent)


def says_ends(ends: Sequence[AlgorithmEnd] | None, bundle: BundleDocument) -> bool:
    """Whether a bundle says what was decided."""
    return ends is None or list(bundle.algorithms or ()) == list(ends)
