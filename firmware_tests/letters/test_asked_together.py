"""The keyed hashes of one event wait for one round trip to the HSM, not for one each."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import msgspec

from appliance.api.bodies import BodyCipher
from appliance.api.letters.effects import effects_of
from appliance.api.letters.making import states_after
from appliance.api.worker import Worker
from appliance.letters.judge import RECEIPT, Asked, happened, judge
from appliance.letters.uniqueness import Use, tenant_scope, uniqueness_key
from appliance.recorder.messages import Claim, Effect
from firmware_tests.letters.kinds import BID_BOND, FIELDS
from firmware_tests.letters.walking import ACTOR, START
from hsm import LaneSettings, MacKey, open_token
from hsm.mac import generate_mac_key
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import SoftHsm

TENANT = "acme"


@dataclass
class Keys:
    """Of a worker what effects ask it for: a tenant's cipher, its key of uniqueness, and whom it remembers."""

    mac: MacKey
    cipher: BodyCipher = field(default_factory=lambda: BodyCipher(TENANT, os.urandom(32)))
    whom: dict[str, object] = field(default_factory=dict)

    def cipher_of(self, _tenant: str) -> BodyCipher:
        return self.cipher

    def mac_of(self, _tenant: str, _scope: str) -> Callable[[bytes], asyncio.Future[bytes]]:
        return self.mac.mac_async


async def issue(keys: Keys, tender: str) -> list[Effect]:
    """The effects of a new bid bond, which uses a registry's receipt too."""
    asked = Asked("issue", os.urandom(16).hex(), fields=FIELDS | {"tender_code": tender})
    decision = judge(BID_BOND, None, asked, ACTOR, frozenset("*"), START, {})
    event = msgspec.structs.replace(decision.draft, at=happened(decision.at_us, None))
    states = states_after(None, event, {})
    receipt = Use("", RECEIPT + "registry", (tender,), 1, 1)
    return await effects_of(cast(Worker, keys), TENANT, BID_BOND.kind, None, event, states, [receipt])


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def two_at_once(keys: Keys, forwarder: Forwarder) -> list[Effect]:
    await issue(keys, "T-1")  # from here on it is known whom its counts are of
    before = forwarder.calls()
    forwarder.hang(times=None)
    task = asyncio.create_task(issue(keys, "T-2"))
    await until(lambda: forwarder.calls() == before + 2)
    assert not task.done()
    forwarder.hang(times=0)
    forwarder.release()
    effects = await task
    assert forwarder.calls() == before + 2
    return effects


def test_keys_of_an_event_are_asked_for_together(softhsm: SoftHsm, forwarder: Forwarder) -> None:
    throwaway = softhsm.token(module=forwarder.module)
    token = open_token(throwaway.uri, throwaway.pin, LaneSettings("threads", 4, timeout_ms=30_000))
    try:
        mac = token.mac_key(generate_mac_key(token, "uniqueness"))
        effects = asyncio.run(two_at_once(Keys(mac), forwarder))
        bidder = cast(dict[str, str], FIELDS["bidder"])["name"]
        claims = [one.key for one in effects if isinstance(one, Claim)]
        asked = (("bid", ["T-2", bidder]), ("receipt_registry", ["T-2"]))
        assert claims == [uniqueness_key(mac.mac, tenant_scope(TENANT), name, values) for name, values in asked]
    finally:
        token.close()
