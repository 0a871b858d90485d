"""Files that people bring, verified by the document workers: here they are names and bytes, and nothing is parsed.

The answer is this box's word about its own files: a convenience, and no proof. The page says so.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Final

from appliance.documents.client import DocumentsClient
from appliance.documents.contracts import VERIFY
from appliance.documents.errors import DocumentsBusy
from appliance.evidence.report import Report
from appliance.verify_request import VerifyRequest
from mgmt_service.problems import TooLarge

MOST_BYTES: Final = 10 * 1024 * 1024
"""Of all files together; in JSON they are a third longer, and the front takes 16 MiB."""
AT_ONCE: Final = 2
"""Verifications of one process of the service: its other threads stay for pages."""
PATIENCE_S: Final = 60.0


class Verifier:
    """Asks the document workers. For several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def verify(self, request: VerifyRequest) -> Report:
        """The report. Raises TooLarge, DocumentsBusy, and what the document workers refuse by."""
        if sum(len(file.content) for file in request.files) > MOST_BYTES:
            raise TooLarge(f"the files have more than {MOST_BYTES // 1024 // 1024} MiB together")
        if not self._turns.acquire(blocking=False):
            raise DocumentsBusy("other files are being verified; try again in a moment")
        try:
            return asyncio.run(self._ask(request))
        finally:
            self._turns.release()

    async def _ask(self, request: VerifyRequest) -> Report:
        client = DocumentsClient(self._path, patience=PATIENCE_S, in_flight=1)
        try:
            return await client.call(VERIFY, "@pages", request)
        finally:
            await client.close()
