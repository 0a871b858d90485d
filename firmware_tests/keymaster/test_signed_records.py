"""What a compromised key signed is counted whole: in the database, in the archive, and what neither has is said."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import msgspec

from appliance.box.settings import RecordSettings, write_settings
from appliance.keymaster.keys.signed_records import affected
from appliance.store import schema
from appliance.store.records import segments
from firmware_tests.keymaster.room import TENANT, Bench, Life
from firmware_tests.recorder.running import CERTIFICATE, FOREVER, entry
from firmware_tests.running import wait_until


def states(bench: Bench) -> list[str]:
    with closing(schema.open_reader(bench.home.records)) as connection:
        return [one.state for one in segments(connection)]


def test_archived_records_are_counted_too(bench: Bench) -> None:
    bench.recorder.end()
    bench.settings = msgspec.structs.replace(bench.settings, records=RecordSettings(segment_bytes=20_000, keep_days=0))
    write_settings(bench.home.settings, bench.settings)
    bench.recorder.start()
    with bench.recorder.admin() as admin:
        admin.enrol_application(TENANT, "app", ["*"])
        admin.enrol_certificate(TENANT, "app", CERTIFICATE, 0, FOREVER)

    async def body(life: Life) -> None:
        recorder = life.room.connected()

        async def sign(key: str, number: int) -> int:
            """So many records of a key, one a transaction; the leaf of the first."""
            firsts = [
                await recorder.append(TENANT, "app", CERTIFICATE, [entry(key=key, body=bytes(400))])
                for _ in range(number)
            ]
            return firsts[0].first_index

        begun = time.time_ns() // 1000
        first = await sign("tsu", 60)
        await sign("seal", 60)
        middle = time.time_ns() // 1000
        later = await sign("tsu", 60)
        await asyncio.to_thread(wait_until, lambda: states(bench).count("pruned") >= 3, 40, "segments are pruned")
        life.room.ledger.add_key(
            token="box", cka_id=b"1", label="tsu", purpose="stamp", scheme="ed25519", tenant=TENANT, public_key=b"k",
            made=begun, state="active",
        )  # fmt: skip
        key = life.room.ledger.key(TENANT, "tsu")
        told = await affected(life.room, key, begun)
        assert (told["records"], told["first_index"], told["not_read"]) == (120, first, 0)
        assert told["last_index"] == later + 59
        since = await affected(life.room, key, middle)
        assert (since["records"], since["first_index"], since["last_index"]) == (60, later, later + 59)
        # A segment's file that is elsewhere: what was in it is not counted as nothing.
        archive = bench.home.root / "records" / "archive"
        gone = sorted(archive.glob("segment-*.cinnabar"))[0]
        kept = gone.read_bytes()
        gone.unlink()
        without = await affected(life.room, key, begun)
        assert without["not_read"] > 0
        assert without["records"] < 120
        assert without["records"] + without["not_read"] >= 120
        gone.write_bytes(kept[: len(kept) // 2])
        torn = await affected(life.room, key, begun)
        assert torn["records"] + torn["not_read"] >= 120
        gone.write_bytes(kept)
        assert (await affected(life.room, key, begun))["records"] == 120

    bench.run(body)
