"""What a chaincode is called with: a list of texts out of the settings, some of which stand for an anchor's parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from appliance.log.checkpoint import Checkpoint

COMMITMENT: Final = "{commitment}"
ORIGIN: Final = "{origin}"
SIZE: Final = "{size}"


def arguments_of(
    function: str, arguments: Sequence[str], checkpoint: Checkpoint, commitment: bytes
) -> tuple[bytes, ...]:
    """The function's name and its arguments, for one checkpoint. Raises ValueError where the commitment is not among
    them."""
    if COMMITMENT not in arguments:
        raise ValueError(f"the arguments have no {COMMITMENT}")
    values = {COMMITMENT: commitment.hex(), ORIGIN: checkpoint.origin, SIZE: str(checkpoint.size)}
    return (function.encode(), *(values.get(one, one).encode() for one in arguments))
