"""Letters' heads, value, claims and tallies at a running recorder: each rule, and that a refusal leaves no trace."""

from __future__ import annotations

import pytest

from appliance.errors import BadRequest, NotFound
from appliance.recorder import RecorderClient, errors
from appliance.recorder.messages import Tally, ValueMove
from firmware_tests.recorder.letters import KEY, applying, claim, event, head, letter_id, step, with_client
from firmware_tests.recorder.running import FOREIGN, Recorder


def test_a_letter_is_issued_moves_on_and_is_read(recorder: Recorder) -> None:
    async def main(client: RecorderClient) -> None:
        apply = applying(client)
        one = letter_id()
        first, second = event(), event()
        await apply(step(one, 1), ValueMove(b"", one, 500), Tally("issued", 500, 1000), entries=[first])
        await apply(step(one, 2, state="open"), entries=[second])
        shown = await client.query("letter", "acme", one)
        assert (shown["head"], shown["number"], shown["kind"], shown["state"]) == (head(one, 2), 2, "voucher", "open")
        assert (shown["balance"], shown["view"]) == (500, b"view 2")
        assert shown["changed"] > 1_600_000_000_000_000
        assert await client.query("letter_events", "acme", one) == [[1, first.record_id], [2, second.record_id]]
        assert [r[1][7] for r in await client.query("letter_records", "acme", one)] == [first.body, second.body]
        assert await client.query("letter_counts", "acme") == [["voucher", "open", 1]]
        assert await client.query("tallies", "acme") == [["issued", 500]]
        with pytest.raises(NotFound) as foreign:
            await client.query("letter", "globex", one)
        with pytest.raises(NotFound) as unknown:
            await client.query("letter", "globex", letter_id())
        assert str(foreign.value) == str(unknown.value)

    with_client(recorder, main)


def test_what_may_be_used_once_is_taken_once(recorder: Recorder) -> None:
    async def main(client: RecorderClient) -> None:
        apply, other = applying(client), applying(client, "globex", "app", FOREIGN)
        one, two, three = letter_id(), letter_id(), letter_id()
        await apply(step(one, 1), claim(one), claim(one, scope="@invoices"))
        with pytest.raises(errors.Taken):
            await apply(step(two, 1), claim(two))
        await other(step(three, 1), claim(three))  # a tenant's own scope is its own
        with pytest.raises(errors.Taken):
            await other(step(three, 2), claim(three, scope="@invoices"))
        await apply(step(one, 2), claim(one, -1, scope="@invoices"))
        await other(step(three, 2), claim(three, scope="@invoices"))
        assert await client.query("claim_status", "acme", "", KEY) == [1, 1]
        assert await client.query("claim_status", "acme", "@invoices", KEY) == [1, 1]
        assert await client.query("claim_status", "acme", "@others", KEY) == [0, 0]

    with_client(recorder, main)


def test_heads_are_compared_and_swapped(recorder: Recorder) -> None:
    async def main(client: RecorderClient) -> None:
        apply = applying(client)
        one = letter_id()
        await apply(step(one, 1))
        with pytest.raises(errors.HeadMoved):
            await apply(step(one, 1))
        with pytest.raises(NotFound):
            await apply(step(letter_id(), 2))
        with pytest.raises(BadRequest):
            await apply(step(letter_id(), 1), ValueMove(b"", one, 1))

    with_client(recorder, main)
