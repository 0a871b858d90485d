"""The answer to a partner's message: made, signed and recorded with the message, its nonce, and what it caused.

One record holds message and answer as they travelled. Signed, then committed, then released (control RECORD); the nonce
is used in that very transaction, so that a message is taken once, and the same message is answered with the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.api import signing
from appliance.api.callers import Caller
from appliance.api.errors import NotPermitted
from appliance.api.letters.making import Made
from appliance.api.records import read_body
from appliance.gateway import (
    SCHEMES,
    Head,
    PartnerProfile,
    ReadMessage,
    encryption_key,
    fresh_nonce,
    prepare,
    write_answer,
)
from appliance.recorder.errors import MessageReplayed
from appliance.recorder.messages import MessageTaken
from appliance.recorder.partner_messages import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.api.worker import Worker

REMEMBERED_S: Final = 24 * 3_600
"""How long the same message is answered again, beyond its window."""


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """The artifact of a message's record: JSON."""

    message: str
    answer: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Exchanged).decode


class Answering:
    """The answer to one message."""

    def __init__(self, worker: Worker, caller: Caller, profile: PartnerProfile, read: ReadMessage, raw: bytes) -> None:
        self._worker, self._caller, self._profile, self._read, self._raw = worker, caller, profile, read, raw
        self.nonce = hashlib.sha256(read.head.nonce.encode()).digest()
        self.digest = hashlib.sha256(raw).digest()

    async def before(self) -> bytes | None:
        """What this very message was answered; None: its nonce is new. Raises MessageReplayed for another message."""
        found = await self._worker.recorder.query(
            "partner_message", self._caller.tenant, self._profile.partner, self.nonce
        )
        if found is None:
            return None
        digest, record_id = found
        if digest != self.digest:
            raise MessageReplayed(MessageReplayed.title)
        stored = await read_body(self._worker, self._caller, record_id)
        return _decode(stored.body.artifact).answer.encode()

    async def close(self, status: int, body: bytes) -> tuple[signing.Signed, bytes]:
        """Sign an answer: its record, and the answer. The signature counts as made."""
        worker, caller, profile = self._worker, self._caller, self._profile
        key = worker.seal_key_for(caller, profile.answer_key)
        algorithm = SCHEMES.get(key.profile.scheme.name)
        if algorithm is None:
            raise NotPermitted("The key that the profile names signs no messages.")
        await worker.gates.check_room(worker.recorder, caller, key.name)
        now_us = worker.clock.read().time_us
        head = Head(self._read.head.parties.answer(), fresh_nonce(), now_us // 1_000)
        content = write_answer(self._raw, self._read.head.nonce, status, body)
        prepared = prepare(
            profile.format, content, head, encryption_key(profile), algorithm, key.profile.certificate_digest
        )
        signature = await key.key.sign_async(prepared.to_be_signed)
        answer = prepared.complete(signature)
        artifact = _encode(Exchanged(message=self._raw.decode(), answer=answer.decode()))
        record = signing.record_signature(
            key.cipher, caller, key.name, MESSAGE, artifact=artifact, content_digest=self.digest, content_hash="sha256",
            time_us=now_us, to_be_signed=prepared.to_be_signed, signature=signature,
        )  # fmt: skip
        return record, answer

    def taken(self, entry: int) -> MessageTaken:
        """The effect by which the message is taken; `entry`: where its record stands in the command."""
        until_ms = self._read.head.time_ms + (self._profile.window_s + REMEMBERED_S) * 1_000
        return MessageTaken(self._profile.partner, self.nonce, self.digest, until_ms * 1_000, entry)

    async def commit(self, status: int, body: bytes) -> bytes:
        """Answer a message that causes nothing. Raises what the recorder refuses with."""
        record, answer = await self.close(status, body)
        await signing.commit(self._worker, self._caller, [record], effects=[self.taken(0)])
        return answer

    def with_event(self, told: Callable[[Made], bytes]) -> AnswerWithEvent:
        """The answer that is recorded with a letter's event. `told`: the answer's body."""
        return AnswerWithEvent(self, told)


class AnswerWithEvent:
    """See `Answering.with_event`; appliance.api.letters.making.Closing."""

    def __init__(self, answering: Answering, told: Callable[[Made], bytes]) -> None:
        self._answering, self._told = answering, told
        self.answer = b""
        """Not to be released before the event is on disk."""

    async def __call__(self, made: Made, entry: int) -> tuple[signing.Signed, MessageTaken]:
        record, self.answer = await self._answering.close(200, self._told(made))
        return record, self._answering.taken(entry)
