"""Drafts that wait for approvals, at a running recorder: compare-and-swap, bounds, expiry, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time

import pytest

from appliance.errors import BadRequest, NotAuthorised, NotFound
from appliance.recorder import RecorderClient, errors
from appliance.recorder.drafts import CONTENT_BYTES, KEPT_LIMIT, LONGEST_US
from firmware_tests.recorder.letters import enrolled, with_client
from firmware_tests.recorder.running import Recorder

HOUR_US = 3_600_000_000


def now_us() -> int:
    return time.time_ns() // 1000


def test_a_draft_is_kept_changed_and_dropped_by_compare_and_swap(standing: Recorder) -> None:
    acme, globex = enrolled(standing), enrolled(standing)

    async def main(client: RecorderClient) -> None:
        draft, expires = os.urandom(32), now_us() + HOUR_US
        for _ in range(2):  # the same again changes nothing
            await client.draft_keep(*acme, draft, 1, expires, b"one")
        with pytest.raises(errors.DraftMoved):
            await client.draft_keep(*acme, draft, 1, expires, b"other")
        with pytest.raises(errors.DraftMoved):
            await client.draft_keep(*acme, draft, 3, expires, b"three")
        tries = [client.draft_keep(*acme, draft, 2, expires, content) for content in (b"two", b"too")]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert [isinstance(one, errors.DraftMoved) for one in done].count(True) == 1
        shown = await client.query("draft", acme.tenant, draft, now_us())
        assert (shown["revision"], shown["content"]) in ((2, b"two"), (2, b"too"))
        assert await client.query("drafts", acme.tenant, now_us()) == [shown]

        said = []
        for name in (draft, os.urandom(32)):
            with pytest.raises(NotFound) as unknown:
                await client.query("draft", globex.tenant, name, now_us())
            said.append(str(unknown.value))
        assert said[0] == said[1]
        assert await client.query("drafts", globex.tenant, now_us()) == []
        await client.draft_keep(*globex, draft, 1, expires, b"theirs")  # the id is each tenant's own
        with pytest.raises(NotAuthorised):
            await client.draft_keep(acme.tenant, acme.application, globex.certificate, draft, 3, expires, b"mine")

        for _ in range(2):
            await client.draft_keep(*acme, draft, 3, expires, b"")
        with pytest.raises(NotFound):
            await client.draft_keep(*acme, draft, 4, expires, b"four")
        assert (await client.query("draft", globex.tenant, draft, now_us()))["content"] == b"theirs"

    with_client(standing, main)


def test_what_has_expired_is_not_there_and_makes_room(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        draft = os.urandom(32)
        await client.draft_keep(*acme, draft, 1, now_us() + 300_000, b"soon over")
        await asyncio.sleep(0.35)
        with pytest.raises(NotFound):
            await client.query("draft", acme.tenant, draft, now_us())
        assert await client.query("drafts", acme.tenant, now_us()) == []
        with pytest.raises(NotFound):
            await client.draft_keep(*acme, draft, 2, now_us() + HOUR_US, b"late")
        await client.draft_keep(*acme, draft, 1, now_us() + HOUR_US, b"anew")

    with_client(standing, main)


def test_drafts_are_bounded_in_number_size_and_time(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        expires = now_us() + HOUR_US
        for wrong in (
            (b"short", 1, expires, b"x"),
            (bytes(32), 0, expires, b"x"),
            (bytes(32), 1, now_us() - 1, b"x"),
            (bytes(32), 1, now_us() + LONGEST_US + HOUR_US, b"x"),
            (bytes(32), 1, expires, bytes(CONTENT_BYTES + 1)),
        ):
            with pytest.raises(BadRequest):
                await client.draft_keep(*acme, *wrong)
        names = [os.urandom(32) for _ in range(KEPT_LIMIT)]
        await asyncio.gather(*(client.draft_keep(*acme, name, 1, expires, b"x") for name in names))
        with pytest.raises(errors.Busy):
            await client.draft_keep(*acme, os.urandom(32), 1, expires, b"x")
        seen: list[bytes] = []
        while page := await client.query("drafts", acme.tenant, now_us(), seen[-1] if seen else b""):
            seen += [one["draft"] for one in page]
        assert seen == sorted(names)
        await client.draft_keep(*acme, names[0], 2, expires, b"")
        await client.draft_keep(*acme, os.urandom(32), 1, expires, b"x")

    with_client(standing, main)


def test_drafts_outlive_the_recorder(standing: Recorder) -> None:
    acme = enrolled(standing)
    draft = os.urandom(32)

    async def keep(client: RecorderClient) -> None:
        await client.draft_keep(*acme, draft, 1, now_us() + HOUR_US, b"kept")

    async def look(client: RecorderClient) -> None:
        assert (await client.query("draft", acme.tenant, draft, now_us()))["content"] == b"kept"

    with_client(standing, keep)
    standing.kill()
    standing.start()
    with_client(standing, look)
    with sqlite3.connect(f"file:{standing.home.records / 'records.sqlite'}?mode=ro", uri=True) as connection:
        assert connection.execute("SELECT count(*) FROM drafts WHERE draft = ?", (draft,)).fetchone() == (1,)


def test_a_signature_is_added_to_what_waits_and_changes_nothing_else(standing: Recorder) -> None:
    acme, globex = enrolled(standing), enrolled(standing)

    async def main(client: RecorderClient) -> None:
        draft, expires = os.urandom(32), now_us() + HOUR_US
        await client.draft_keep(*acme, draft, 1, expires, b"kept")
        for tenant, name in ((acme.tenant, os.urandom(32)), (globex.tenant, draft), ("nobody", draft)):
            with pytest.raises(NotFound):
                await client.draft_sign(tenant, name, 2, b"signed")
        for wrong in (b"", bytes(CONTENT_BYTES + 1)):
            with pytest.raises(BadRequest):
                await client.draft_sign(acme.tenant, draft, 2, wrong)
        for _ in range(2):  # the same again changes nothing
            await client.draft_sign(acme.tenant, draft, 2, b"signed")
        for revision in (2, 4):
            with pytest.raises(errors.DraftMoved):
                await client.draft_sign(acme.tenant, draft, revision, b"late")
        tenants = [globex.tenant, "nobody", acme.tenant]
        name, shown = await client.query("draft_of_any", tenants, draft, now_us())
        assert (name, shown["content"], shown["expires"]) == (acme.tenant, b"signed", expires)
        assert await client.query("draft_of_any", [globex.tenant], draft, now_us()) is None
        assert await client.query("draft_of_any", tenants, draft, expires) is None

    with_client(standing, main)
