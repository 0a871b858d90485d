"""What letters are found by: hashes keyed with the tenant's content key."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import cast

import msgspec

from appliance.api.bodies import BodyCipher
from appliance.api.letters.finds import file_effect, look_up, pair_effects
from appliance.api.letters.views import close_view
from appliance.api.worker import Worker
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import tenant_scope, uniqueness_key
from appliance.recorder.letter_queries import LETTERS_LIMIT
from appliance.recorder.messages import Effect, Find
from firmware_tests.letters.kinds import BID_BOND, FIELDS
from firmware_tests.letters.walking import LETTER, walks

KEY = os.urandom(32)
BIDDER = "华南市政建设有限公司"
CONTENT = b"%PDF-1.7 of a letter"


def letter(**changed: object) -> LetterState:
    return msgspec.structs.replace(next(walks(BID_BOND))[0].after, fields=FIELDS | changed)


def effects(cipher: BodyCipher, tenant: str) -> list[Effect]:
    """Of a new letter, and of its PDF."""
    pairs = pair_effects(cipher, tenant, BID_BOND.kind, None, [letter()])
    return [*pairs, file_effect(cipher, tenant, LETTER, CONTENT)]


def test_every_life_of_a_worker_finds_alike() -> None:
    def mac(message: bytes) -> bytes:
        return hmac.digest(KEY, message, "sha256")

    pair = uniqueness_key(mac, tenant_scope("acme"), "pair", ["bid-bond", BIDDER, "GD-2026-0412"])
    file = uniqueness_key(mac, tenant_scope("acme"), "file", [hashlib.sha256(CONTENT).hexdigest()])
    wanted = [Find(pair, bytes.fromhex(LETTER)), Find(file, bytes.fromhex(LETTER))]
    assert effects(BodyCipher("acme", KEY), "acme") == effects(BodyCipher("acme", KEY), "acme") == wanted


def test_tenants_share_no_hash() -> None:
    keys = {one.key for one in effects(BodyCipher("acme", KEY), "acme") if isinstance(one, Find)}
    for cipher, tenant in ((BodyCipher("other", KEY), "other"), (BodyCipher("acme", os.urandom(32)), "acme")):
        assert keys.isdisjoint(one.key for one in effects(cipher, tenant) if isinstance(one, Find))


def test_a_pair_that_stays_is_kept_once() -> None:
    cipher = BodyCipher("acme", KEY)
    kind, before = BID_BOND.kind, letter()
    assert pair_effects(cipher, "acme", kind, before, [letter(valid_until="2098-01-01")]) == []
    assert len(pair_effects(cipher, "acme", kind, before, [letter(tender_code="GD-2026-0413")])) == 1


@dataclass
class Keeping:
    """Of a worker and its recorder what a look-up asks them for."""

    ciphers: dict[str, BodyCipher]
    under: dict[bytes, bytes]
    """Views by keys."""

    @property
    def callers(self) -> Keeping:
        return self

    @property
    def recorder(self) -> Keeping:
        return self

    @property
    def tenants(self) -> set[str]:
        return set(self.ciphers)

    def cipher_of(self, tenant: str) -> BodyCipher:
        return self.ciphers[tenant]

    async def query(self, name: str, keys: list[tuple[str, bytes]]) -> list[tuple[str, bytes, bytes]]:
        assert name == "letters_found"
        assert len(keys) <= LETTERS_LIMIT
        return [(tenant, bytes.fromhex(LETTER), self.under[key]) for tenant, key in keys if key in self.under]


def test_every_tenant_of_a_large_box_is_asked() -> None:
    ciphers = {f"t{number}": BodyCipher(f"t{number}", KEY) for number in range(LETTERS_LIMIT + 5)}
    under = {}
    for tenant, cipher in ciphers.items():
        (find,) = pair_effects(cipher, tenant, BID_BOND.kind, None, [letter()])
        assert isinstance(find, Find)
        under[find.key] = close_view(cipher, letter())
    pair = ["bid-bond", BIDDER, "GD-2026-0412"]
    found = asyncio.run(look_up(cast(Worker, Keeping(ciphers, under)), "pair", pair))
    assert {tenant for tenant, _ in found} == set(ciphers)
    assert {state.letter for _, state in found} == {LETTER}
