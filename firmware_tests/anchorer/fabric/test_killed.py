"""The anchorer as its own process, killed again and again while it anchors on a channel of Fabric."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

import msgspec
from fabric_protos.common import common_pb2

from appliance.anchorer.outbox import Outbox
from appliance.anchors import State, judge, read_receipt
from firmware_tests.anchorer.fabric.site import LEDGER, Site
from firmware_tests.log.box import wait_for

KILLS = 10


def _anchors(site: Site) -> list[common_pb2.Envelope]:
    return [
        common_pb2.Envelope.FromString(data)
        for block in site.network.blocks[1:]
        for data, code in zip(block.data.data, block.metadata.metadata[2], strict=True)
        if code == 0
    ]


def test_whenever_it_is_killed_no_head_is_anchored_twice_and_the_last_is_final(site: Site) -> None:
    settings = msgspec.structs.replace(site.settings, interval_s=1)
    site.box.settings = msgspec.structs.replace(site.box.settings, ledgers=[settings])
    site.box.write()
    chance = random.Random(20_260_101)
    for _ in range(KILLS):
        process = site.box.start("appliance.anchorer")
        seen = len(site.gateway.calls)
        wait_for(lambda: len(site.gateway.calls) > seen, "it anchors again", 60)  # noqa: B023 - read at once
        time.sleep(chance.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    process = site.box.start("appliance.anchorer")
    seen = site.gateway.calls.count("Evaluate")
    wait_for(lambda: site.gateway.calls.count("Evaluate") > seen + 1, "it anchors to the end", 120)
    assert site.box.stop(process) == 0, site.box.errors("appliance.anchorer")
    held = Counter(
        common_pb2.Payload.FromString(envelope.payload).data.partition(b"anchor\x0a\x40")[2][:64]
        for envelope in _anchors(site)
    )
    assert len(held) > 1
    assert set(held.values()) == {1}
    assert b"" not in held
    outbox = Outbox(site.home / "anchors" / "outbox.sqlite")
    try:
        anchors = outbox.anchors(LEDGER, None, 200)
        final = outbox.last_final(LEDGER)
        assert final is not None
        assert all(one.state in (State.FINAL, State.SUPERSEDED) for one in anchors if one.number <= final.number)
        for one in anchors:
            if one.state is State.FINAL:
                receipt = read_receipt(outbox.receipt(LEDGER, one.number))
                judge(receipt, one.commitment, site.profile, now_us=time.time_ns() // 1000)
    finally:
        outbox.close()
