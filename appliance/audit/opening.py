"""Opening what is kept of a record: salt, record and artifact, held to the commitment that is the log's leaf."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from appliance.api.bodies import BodyCipher, BodyDamaged
from appliance.audit.errors import RecordDamaged
from appliance.log.eras import Era, era_of
from appliance.record import COMMITMENT_PREFIX

CLEAR_KINDS = frozenset(("administration", "ceremony"))
"""Kept in clear: who writes them holds no content key."""
BOX_LEAF = "box-leaf"
"""A leaf over every tenant's head: no record, its body itself is what stands in the log."""

_body = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes])
Opened = tuple[bytes, bytes, bytes]
"""Salt (empty for a box leaf), content (canonical JSON), artifact."""


class Opener:
    """Opens the records of one line of logs. `cipher`: None for the box's own."""

    def __init__(self, log: str, cipher: BodyCipher | None, eras: Sequence[Era]) -> None:
        """`eras`: the logs that it has had, each with its own hash."""
        self._eras = eras
        self._log = log
        self._cipher = cipher

    def open(self, leaf: int, record_id: bytes, kind: str, commitment: bytes, body: bytes) -> Opened:
        """Raises RecordDamaged where it does not open, or is not what the leaf was made of."""
        new = era_of(self._eras, leaf).hashing.new
        if kind == BOX_LEAF:
            if new(body).digest() != commitment:
                raise RecordDamaged(f"entry {leaf} of {self._log} is not what its leaf was made of")
            return b"", body, b""
        try:
            if kind not in CLEAR_KINDS:
                if self._cipher is None:
                    raise RecordDamaged(f"entry {leaf} of {self._log} is of a kind that the log does not hold")
                body = self._cipher.open_bytes(record_id, body)
            opened = _body.decode(body)
        except (BodyDamaged, msgspec.MsgspecError):
            raise RecordDamaged(f"entry {leaf} of {self._log} does not open") from None
        if new(COMMITMENT_PREFIX + opened[0] + opened[1]).digest() != commitment:
            raise RecordDamaged(f"entry {leaf} of {self._log} is not what its leaf was made of")
        return opened
