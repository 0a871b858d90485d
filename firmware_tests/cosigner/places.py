"""A home with logs that grow, and the cosigner in this process over them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from appliance.box.home import Home
from appliance.box.settings import BoxSettings, LogSettings, WitnessSettings
from appliance.cosigner.process import Cosigner
from appliance.cosigner.word import LogWord
from appliance.log import log_directory, parse_note
from appliance.log.cosigned import CosignedHeads
from firmware_tests.cosigner.growing import ORIGIN, GrowingLog
from firmware_tests.cosigner.witness import Witness


class Place:
    """One log, its witnesses, and how the box is set."""

    def __init__(
        self,
        root: Path,
        witnesses: Iterable[Witness],
        quorum: int,
        origin: str = ORIGIN,
        like: GrowingLog | None = None,
        seed: str = "",
    ) -> None:
        """`like`: a log whose key this one has; `seed`: of its entries."""
        self.home = Home(root)
        self.witnesses = list(witnesses)
        key = None if like is None else like.key
        self.log = GrowingLog(log_directory(self.home.logs, origin), origin, key, seed)
        self.home.cosigner_word.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        for witness in self.witnesses:
            witness.watch(origin, *(str(key.verifier) for key in self.log.keys))
        self.settings = BoxSettings(
            box_id="00" * 16, name="test", rehearsal=True, tokens=[], tenants=[], units=[], seal_keys=[],
            authorities=[], cosign_interval_ms=20,
            witnesses=[WitnessSettings(key=witness.vkey, url=witness.url) for witness in self.witnesses],
            logs=[
                LogSettings(
                    origin=origin, tenant=None, keys=[], witnesses=[witness.name for witness in self.witnesses],
                    witness_quorum=quorum,
                )
            ],
        )  # fmt: skip

    @property
    def heads(self) -> CosignedHeads:
        return CosignedHeads.of(self.home.cosigned, self.home.logs, self.log.origin)

    @property
    def size(self) -> int:
        """Of the largest cosigned head."""
        with contextlib.suppress(Exception):
            return int(self.heads.latest().split(b"\n")[1])
        return 0

    def cosigners(self, note: bytes | None = None) -> list[str]:
        """Who signed the cosigned checkpoint beside the log, in order."""
        lines = parse_note(self.heads.latest() if note is None else note).signatures
        return [line.name for line in lines if line.name != self.log.origin]


@contextlib.asynccontextmanager
async def cosigning(place: Place, call_s: float = 1.0, again_s: float = 0.2) -> AsyncIterator[Cosigner]:
    """The cosigner at work."""
    cosigner = Cosigner(place.home, place.settings, call_s, again_s)
    stop = asyncio.Event()
    task = asyncio.create_task(cosigner.run(stop))
    try:
        yield cosigner
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    try:
        await asyncio.wait_for(wait(), seconds)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None


def word_of(cosigner: Cosigner) -> LogWord:
    (one,) = cosigner.logs
    return msgspec.json.decode(msgspec.json.encode(one.word()), type=LogWord)


def trouble(cosigner: Cosigner, witness: Witness) -> str | None:
    return next(one.trouble for one in word_of(cosigner).witnesses if one.name == witness.name)
