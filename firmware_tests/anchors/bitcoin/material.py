"""Blocks made for tests: their transactions, headers with the little work of regtest, and honest proofs from them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

import coincurve
import msgspec

from appliance.anchors import canonical
from appliance.anchors.bitcoin.anchor_transaction import Coin, anchor_transaction
from appliance.anchors.bitcoin.encoding import from_shown
from appliance.anchors.bitcoin.header import Header, WorkRule, target_of, work_hash
from appliance.anchors.bitcoin.judge import Rules
from appliance.anchors.bitcoin.merkle import branch_of, root_of
from appliance.anchors.bitcoin.proof import BitcoinProof
from appliance.anchors.bitcoin.signing import signature_digest, signed
from appliance.anchors.bitcoin.transaction import Input, OutPoint, Output, Transaction

COMMITMENT = hashlib.sha256(b"a checkpoint").digest()
GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
EASY = 0x207FFFFF
TIME = 1_790_000_000
KEY = coincurve.PrivateKey(bytes(31) + b"\7")
PUBLIC_KEY = KEY.public_key.format()


def rules(work: WorkRule = "sha256d", **changes: object) -> Rules:
    """A profile's rules for such blocks, by which their work proves."""
    made = Rules(depth=3, easiest_bits="207fffff", genesis=GENESIS, least_work="6", work=work)
    return msgspec.structs.replace(made, **changes)


def anchor(commitment: bytes = COMMITMENT, coins: int = 1) -> Transaction:
    """A signed anchor that spends coins which nobody has."""
    spent = [Coin(OutPoint(hashlib.sha256(bytes([n])).digest(), n), 50_000 + n) for n in range(coins)]
    made = anchor_transaction(spent, commitment, PUBLIC_KEY, 1_000)
    digests = [signature_digest(made, n, PUBLIC_KEY, coin.amount) for n, coin in enumerate(spent)]
    return signed(made, PUBLIC_KEY, [KEY.sign_recoverable(one, hasher=None)[:64] for one in digests])


def coinbase(height: int | None = 123) -> Transaction:
    script = (b"\x4c" if height is None else bytes([1, height])) + b"made for a test"
    return Transaction((Input(OutPoint(bytes(32), 0xFFFFFFFF), script),), (Output(50, b"\x51"),))


def other(number: int) -> Transaction:
    spends = OutPoint(hashlib.sha256(b"other" + number.to_bytes(4, "big")).digest(), 0)
    return Transaction((Input(spends, b"\x51" * 10),), (Output(number, b"\x51"),))


def mined(root: bytes, parent: bytes, *, bits: int = EASY, time: int = TIME, work: WorkRule = "sha256d") -> Header:
    """A header with its work: about two tries at the easiest target."""
    nonce = 0
    while True:
        encoded = struct.pack("<I32s32sIII", 0x20000000, parent, root, time, bits, nonce)
        if int.from_bytes(work_hash(encoded, work), "little") <= target_of(bits):
            return Header.parse(encoded)
        nonce += 1


@dataclass(frozen=True)
class Made:
    """A block with an anchor, and headers on top."""

    transactions: tuple[Transaction, ...]
    index: int
    chain: tuple[Header, ...]

    @property
    def txids(self) -> list[bytes]:
        return [one.txid for one in self.transactions]

    def proof(self, **changes: object) -> BitcoinProof:
        """The honest proof, with members changed."""
        made = BitcoinProof(
            branch=[one.hex() for one in branch_of(self.txids, self.index)],
            coinbase=self.transactions[0].stripped().hex(),
            coinbase_branch=[one.hex() for one in branch_of(self.txids, 0)],
            count=len(self.transactions),
            genesis=GENESIS,
            headers=b"".join(one.encoded for one in self.chain).hex(),
            index=self.index,
            transaction=self.transactions[self.index].encode().hex(),
        )
        return msgspec.structs.replace(made, **changes)

    def with_chain(self, chain: Sequence[Header]) -> Made:
        return replace(self, chain=tuple(chain))


def encoded(proof: BitcoinProof) -> bytes:
    return canonical.encode(proof)


def block(
    count: int = 5,
    index: int = 2,
    *,
    on_top: int = 2,
    work: WorkRule = "sha256d",
    bits: int = EASY,
    commitment: bytes = COMMITMENT,
    height: int | None = 123,
    time: int = TIME,
) -> Made:
    """A block of `count` transactions with an anchor at `index`, and blocks on top."""
    transactions = [coinbase(height), *(other(n) for n in range(1, count))]
    transactions[index] = anchor(commitment)
    chain = [mined(root_of([one.txid for one in transactions]), from_shown(GENESIS), bits=bits, time=time, work=work)]
    for n in range(on_top):
        chain.append(mined(hashlib.sha256(bytes([n])).digest(), chain[-1].hash, bits=bits, time=time, work=work))
    return Made(tuple(transactions), index, tuple(chain))
