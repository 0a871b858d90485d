"""POST /v1/verify: the pure function of appliance.evidence over the given files and the box's own trust bundle.

Nothing more: no record, no log, no register is looked into, so equal files give equal reports whoever asks.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from appliance.api.messages import Request, Response
from appliance.api.schemas import VerifyRequest
from appliance.errors import Unavailable
from appliance.evidence import NamedBytes, TrustRefused, read_bundle, verify
from appliance.evidence.directory import read_directory

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_encode = msgspec.json.Encoder().encode
# One at a time: parsing others' files takes this process's interpreter from stamps.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verify")


class TrustUnavailable(Unavailable):
    """The box's own trust bundle is missing, or does not hold."""

    code = "trust-unavailable"
    title = "The box's trust bundle cannot be used"
    retriable = False


async def verify_files(worker: Worker, request: Request) -> Response:
    """POST /v1/verify"""
    asked: VerifyRequest = request.document
    files = [NamedBytes(file.name, file.content) for file in asked.files]
    loop = asyncio.get_running_loop()
    return Response(await loop.run_in_executor(_thread, _verify, worker, files))


def _verify(worker: Worker, files: list[NamedBytes]) -> bytes:
    try:
        files_of_bundle = read_directory(worker.home.trust)
        if worker.trust_pin is None:
            worker.trust_pin = read_bundle(files_of_bundle, None).pin()
        bundle = read_bundle(files_of_bundle, worker.trust_pin)
        worker.trust_pin = bundle.pin()
    except TrustRefused as error:
        raise TrustUnavailable(str(error)) from None
    return _encode(verify(files, bundle, now_us=time.time_ns() // 1000))
