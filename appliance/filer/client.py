"""The API workers' side: an errand over a connection of its own, which ends with the errand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from appliance.calls.framing import FrameTooLong, frame, read_frame
from appliance.filer.messages import ANSWER_BYTES, Answer, Errand, Failed
from appliance.filing.errors import NotAnswered

GRACE_SECONDS: Final = 5.0
"""What the filer may take beyond the errand's own time; after that the errand counts as not answered."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Answer | Failed).decode


async def run_errand(path: Path, errand: Errand) -> Answer:
    """Have the filer at this socket do an errand. Cancelled, it is given up there too. Raises NotAnswered, also where
    the filer is away, dies or hangs."""
    try:
        async with asyncio.timeout(errand.timeout_s + GRACE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(frame(_encode(errand)))
                await writer.drain()
                answer: Answer | Failed = _decode(await read_frame(reader, 2 * ANSWER_BYTES))
            finally:
                writer.close()
    except TimeoutError:
        raise NotAnswered("the filer is silent") from None
    except (OSError, EOFError, FrameTooLong, msgspec.MsgspecError) as error:
        raise NotAnswered(f"the filer does not answer ({type(error).__name__})") from None
    if isinstance(answer, Failed):
        raise NotAnswered(answer.why)
    return answer
