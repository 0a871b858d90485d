"""Control RECORD where an answer is lost: what became unknown is learnt later, and is a row or a drop, never both."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

import pytest

from appliance.errors import CinnabarError
from appliance.recorder import RecorderClient, errors, new_run_id
from firmware_tests.recorder.running import CERTIFICATE, FOREIGN, Recorder, entry


class Deaf:
    """Stands before the recorder's socket; on command it takes what is sent, gives no answer back, and goes away."""

    def __init__(self, path: Path, behind: Path) -> None:
        self.path = path
        self._behind = behind
        self.deaf = False
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self.deaf = False
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._writers.clear()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(self._behind)
        self._writers += [writer, behind_writer]
        await asyncio.gather(self._pump(reader, behind_writer, False), self._pump(behind_reader, writer, True))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not (answers and self.deaf):
                    target.write(data)
                    await target.drain()
            target.close()


class Signer:
    """A process that signs, counts and submits, as a worker does."""

    def __init__(self) -> None:
        self.signed = 0
        self.drops: Counter[str] = Counter()
        self.client: RecorderClient

    async def connect(self, path: Path) -> None:
        self.client = await RecorderClient.connect(
            path,
            new_run_id(),
            lambda: (self.signed, dict(self.drops)),
            patience=0.4,
            on_dropped=lambda reason, count: self.drops.update({reason: count}),
        )

    async def sign(self, certificate: bytes = CERTIFICATE, tenant: str = "acme") -> str:
        self.signed += 2
        try:
            await self.client.append(tenant, "app", certificate, [entry(), entry()])
        except errors.OutcomeUnknown:
            return "unknown"
        except CinnabarError as error:
            self.drops[error.code] += 2
            return error.code
        return "answered"


@pytest.mark.parametrize("restarted", [False, True])
def test_rows_and_drops_equal_signatures_after_answers_were_lost(recorder: Recorder, restarted: bool) -> None:
    async def main() -> None:
        front = Deaf(recorder.home.root / "front.sock", recorder.home.recorder_socket)
        await front.open()
        signer = Signer()
        await signer.connect(front.path)
        assert await signer.sign() == "answered"
        front.deaf = True
        lost = [asyncio.create_task(signer.sign()) for _ in range(5)]
        await asyncio.sleep(0.2)  # they are on disk now, and nobody was told
        await front.close()
        assert set(await asyncio.gather(*lost)) == {"unknown"}
        assert not signer.drops
        if restarted:
            recorder.kill()
            recorder.start()
        with recorder.admin() as admin:
            admin.set_state("revoked", "acme", "app", CERTIFICATE)  # what is on disk stays there
        await front.open()
        signed, rows, dropped = await signer.client.goodbye()
        assert (signed, rows, dropped) == (12, 12, 0)
        await signer.client.close()
        await front.close()
        with recorder.admin() as admin:
            (run,) = admin.query("runs", "clean", 10)
        assert run["signed"] == run["rows"] == 12

    asyncio.run(main())


def test_what_never_arrived_is_recorded_later_or_dropped_with_its_reason(recorder: Recorder) -> None:
    async def main() -> None:
        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.close()
            await writer.wait_closed()

        front = Deaf(recorder.home.root / "front.sock", recorder.home.recorder_socket)
        await front.open()
        signer = Signer()
        await signer.connect(front.path)
        await front.close()
        hole = await asyncio.start_unix_server(swallow, front.path)
        lost = [
            asyncio.create_task(signer.sign()),
            asyncio.create_task(signer.sign(FOREIGN, "globex")),
        ]
        await asyncio.sleep(0.2)
        hole.close()
        front.path.unlink(missing_ok=True)
        outcomes = set(await asyncio.gather(*lost))
        assert outcomes == {"unknown"}
        with recorder.admin() as admin:
            admin.set_state("suspended", "globex")
        await front.open()
        signed, rows, dropped = await signer.client.goodbye()
        assert (signed, rows, dropped) == (4, 2, 2)
        assert signer.drops == {"not-authorised": 2}
        await signer.client.close()
        await front.close()

    asyncio.run(main())


def test_a_caller_that_went_away_leaves_a_row_and_no_drop(recorder: Recorder) -> None:
    async def main() -> None:
        signer = Signer()
        await signer.connect(recorder.home.recorder_socket)
        task = asyncio.create_task(signer.sign())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await signer.client.goodbye() == (2, 2, 0)
        await signer.client.close()

    asyncio.run(main())
