"""What can be wrong with a batch or an evidence record."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import BadRequest, Conflict


class BatchRejected(BadRequest):
    """The digests cannot be made into a hash tree: none, too many, wrong length."""

    code = "batch-rejected"
    title = "The batch cannot be stamped"


class DuplicateDigests(BatchRejected):
    """Some digest occurs more than once. `positions` are those of the later occurrences, at most the first 100."""

    code = "duplicate-digests"
    title = "A digest occurs more than once in the batch"

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = list(positions[:100])
        shown = ", ".join(map(str, self.positions[:10])) + (" ..." if len(positions) > 10 else "")
        super().__init__(f"{len(positions)} digests repeat earlier ones, at positions {shown}")


class EvidenceRejected(BadRequest):
    """The bytes are not a compact batch or evidence record as expected; the message says why."""

    code = "evidence-rejected"
    title = "The evidence is not well formed"


class EvidenceMismatch(Conflict):
    """Well-formed evidence that does not prove what it should: another digest, a broken tree, times out of order."""

    code = "evidence-mismatch"
    title = "The evidence does not prove this"
