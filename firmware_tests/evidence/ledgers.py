"""Letters of `letters` whose head stands on chains: EVM chains, the Bitcoin family, Fabric, honest and otherwise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from appliance.anchors import LedgerProfile, Reason, Receipt, canonical, commitment_of, write_receipt
from appliance.anchors.bitcoin.judge import BitcoinReason
from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.rules import NodeAttests
from appliance.anchors.fabric.reasons import FabricReason
from firmware_tests.anchors.bitcoin import material as bitcoin
from firmware_tests.anchors.evm import chains as evm
from firmware_tests.anchors.fabric.made import anchored
from firmware_tests.anchors.fabric.network import Network, Organisations
from firmware_tests.anchors.fabric.organisations import Organisation
from firmware_tests.evidence.anchors import STAMPED
from firmware_tests.evidence.material import T0, microseconds

SECONDS = microseconds(STAMPED) // 1_000_000
"""When ledgers took the head."""
CLIQUE, IBFT2, QBFT, ETHEREUM = HeaderHash.CLIQUE, HeaderHash.IBFT2, HeaderHash.QBFT, HeaderHash.ETHEREUM
STRANGER = 555
"""A key that nobody listed."""
Proof = Callable[[bytes], bytes]
"""What makes a proof of a commitment, in canonical JSON."""


@dataclass(frozen=True)
class OnLedger:
    """A head on a ledger: how its proof is made, the profile's rules, and what judges say of it."""

    proof: Proof
    rules: msgspec.Struct
    verdict: str
    """A Strength, or the Reason of a refusal."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the profile."""
    stated: str = ""
    """The type that the receipt states, if another than its own."""

    @property
    def type(self) -> str:
        return type(self.rules).__module__.split(".")[2]

    def profile(self) -> LedgerProfile:
        encoded = msgspec.Raw(canonical.encode(self.rules))
        made = LedgerProfile(name=self.type, rules=encoded, tolerance_s=60, type=self.type)
        return msgspec.structs.replace(made, **self.changes)

    def receipt(self, note: bytes, ledger: str = "") -> bytes:
        """Of a signed head. `ledger`: as the receipt calls it, if another name than its type's."""
        proof = msgspec.Raw(self.proof(commitment_of(note)))
        kind = self.stated or self.type
        return write_receipt(Receipt(checkpoint=note.decode(), ledger=ledger or self.type, proof=proof, type=kind))


# --- EVM chains -------------------------------------------------------------------------------------------------------


def _chain(rule: HeaderHash, **changes: Any) -> evm.Chain:
    return evm.Chain(rule, start=SECONDS, **changes)


def _on_evm(
    rule: HeaderHash, *, on_top: int = 3, anchor: Mapping[str, Any] | None = None, change: Any = None, **chain: Any
) -> Proof:
    def make(commitment: bytes) -> bytes:
        given = evm.Anchor(**{"commitment": commitment, **(anchor or {})})
        found = evm.proof(_chain(rule, **chain), given, on_top=on_top)
        return canonical.encode(found if change is None else change(found))

    return make


def _with(**members: Any) -> Callable[[Any], Any]:
    return lambda proof: msgspec.structs.replace(proof, **members)


def _flipped(text: str, place: int = -1) -> str:
    data = bytearray.fromhex(text)
    data[place] ^= 1
    return data.hex()


def _another_on_top(proof: Any) -> Any:
    return msgspec.structs.replace(proof, headers=(_flipped(proof.headers[0]), *proof.headers[1:]))


def _evm() -> dict[str, OnLedger]:
    other = evm.proof(_chain(CLIQUE), evm.Anchor())
    rules = evm.rules
    table = {f"honest, {rule}": OnLedger(_on_evm(rule), rules(rule), "proven") for rule in (CLIQUE, IBFT2, QBFT)}
    return table | {
        "a chain without seals": OnLedger(_on_evm(ETHEREUM), rules(ETHEREUM), "attested"),
        "trust in nobody": OnLedger(_on_evm(CLIQUE), rules(CLIQUE, trust=NodeAttests()), "attested"),
        "another transaction": OnLedger(
            _on_evm(CLIQUE, change=_with(transaction=other.transaction)), rules(CLIQUE),
            EvmReason.TRANSACTION_NOT_IN_BLOCK,
        ),
        "another receipt": OnLedger(
            _on_evm(CLIQUE, change=_with(receipt=other.receipt)), rules(CLIQUE), EvmReason.RECEIPT_NOT_IN_BLOCK
        ),
        "another proof": OnLedger(
            _on_evm(CLIQUE, change=_with(receipt_proof=other.receipt_proof)), rules(CLIQUE),
            EvmReason.RECEIPT_NOT_IN_BLOCK,
        ),
        "another header on top": OnLedger(
            _on_evm(CLIQUE, change=_another_on_top), rules(CLIQUE), EvmReason.BROKEN_CHAIN
        ),
        "a foreign seal": OnLedger(
            _on_evm(CLIQUE, validators=(101, 102, STRANGER, 104)), rules(CLIQUE), EvmReason.FOREIGN_SEAL
        ),
        "too few seals": OnLedger(_on_evm(QBFT, committers=(101, 102)), rules(QBFT), EvmReason.TOO_FEW_SEALS),
        "another first block": OnLedger(
            _on_evm(CLIQUE, change=_with(genesis="00" * 32)), rules(CLIQUE), EvmReason.WRONG_GENESIS
        ),
        "a transaction that failed": OnLedger(
            _on_evm(CLIQUE, anchor={"status": 0}), rules(CLIQUE), EvmReason.FAILED_TRANSACTION
        ),
        "another head's commitment": OnLedger(
            _on_evm(CLIQUE, anchor={"commitment": bytes(32)}), rules(CLIQUE), Reason.OTHER_COMMITMENT
        ),
        "a transaction cut short": OnLedger(
            _on_evm(CLIQUE, change=lambda one: msgspec.structs.replace(one, transaction=one.transaction[:-2])),
            rules(CLIQUE), Reason.MALFORMED,
        ),
        "a transaction of another account": OnLedger(
            _on_evm(CLIQUE, anchor={"sender": STRANGER}), rules(CLIQUE), EvmReason.FOREIGN_ACCOUNT
        ),
        "another type in the profile": OnLedger(
            _on_evm(CLIQUE), rules(CLIQUE), Reason.OTHER_TYPE, changes={"type": "bitcoin"}
        ),
        "a type that nobody judges": OnLedger(
            _on_evm(CLIQUE), rules(CLIQUE), Reason.UNKNOWN_TYPE, changes={"type": "aura"}, stated="aura"
        ),
        "rules that are none": OnLedger(
            _on_evm(CLIQUE), rules(CLIQUE), Reason.RULES_UNREADABLE, changes={"rules": msgspec.Raw(b'{"depth":2}')}
        ),
        "a block to come": OnLedger(
            lambda commitment: canonical.encode(
                evm.proof(evm.Chain(CLIQUE, start=SECONDS + 40 * 86_400), evm.Anchor(commitment=commitment))
            ),
            rules(CLIQUE), Reason.TIME_TO_COME,
        ),
    }  # fmt: skip


# --- the Bitcoin family -----------------------------------------------------------------------------------------------


def _on_bitcoin(change: Callable[[bitcoin.Made], Any] = bitcoin.Made.proof, **block: Any) -> Proof:
    return lambda commitment: bitcoin.encoded(
        change(bitcoin.block(**{"commitment": commitment, "time": SECONDS, **block}))
    )


def _cut(made: bitcoin.Made) -> Any:
    return made.proof(headers=made.proof().headers[:-2])


def _unworked(made: bitcoin.Made) -> Any:
    last = made.chain[-1]
    without = next(
        tried
        for nonce in range(1000)
        if not (tried := bitcoin.Header.parse(last.encoded[:76] + nonce.to_bytes(4, "little"))).has_work("sha256d")
    )
    return made.with_chain((*made.chain[:-1], without)).proof()


def _bitcoin() -> dict[str, OnLedger]:
    rules = bitcoin.rules
    return {
        "honest, sha256d": OnLedger(_on_bitcoin(), rules(), "proven"),
        "honest, scrypt": OnLedger(_on_bitcoin(work="scrypt"), rules("scrypt"), "proven"),
        "a chain that anybody can make": OnLedger(_on_bitcoin(), rules(least_work=None), "attested"),
        "no work": OnLedger(_on_bitcoin(_unworked), rules(), BitcoinReason.NO_WORK),
        "another chain's targets": OnLedger(_on_bitcoin(), rules(easiest_bits="1d00ffff"), BitcoinReason.WRONG_TARGET),
        "another first block": OnLedger(_on_bitcoin(), rules(genesis="22" * 32), BitcoinReason.WRONG_GENESIS),
        "another head's commitment": OnLedger(_on_bitcoin(commitment=bytes(32)), rules(), Reason.OTHER_COMMITMENT),
        "another place": OnLedger(
            _on_bitcoin(lambda made: made.proof(index=3)), rules(), BitcoinReason.NOT_IN_BLOCK
        ),
        "headers cut short": OnLedger(_on_bitcoin(_cut), rules(), Reason.MALFORMED),
        "too few headers": OnLedger(_on_bitcoin(on_top=1), rules(), BitcoinReason.TOO_FEW_HEADERS),
        "a header left out": OnLedger(
            _on_bitcoin(lambda made: made.with_chain(made.chain[::2]).proof()), rules(), BitcoinReason.BROKEN_CHAIN
        ),
    }  # fmt: skip


# --- Fabric -----------------------------------------------------------------------------------------------------------


@functools.cache
def network() -> Network:
    begin = T0 - timedelta(days=3)
    endorsing = [Organisation(f"Org{at}MSP", intermediate=at == 2, begin=begin) for at in (1, 2, 3)]
    ordering = [Organisation("OrdererMSP", begin=begin)]
    return Network(Organisations(endorsing=endorsing, ordering=ordering), window_s=None)


def _on_fabric(change: Callable[[Any], None] | None = None) -> Proof:
    def make(commitment: bytes) -> bytes:
        made = anchored(network(), commitment, time_us=SECONDS * 1_000_000)
        if change is not None:
            change(made.block)
        return made.proof

    return make


def _unsealed(block: Any) -> None:
    block.metadata.metadata[0] = network().seal(block.header, [])


def _otherwise(block: Any) -> None:
    block.data.data[0] = block.data.data[1]


def _failed(block: Any) -> None:
    block.metadata.metadata[2] = bytes([11]) * len(block.data.data)


def _fabric() -> dict[str, OnLedger]:
    rules = network().rules
    replace = msgspec.structs.replace
    return {
        "honest": OnLedger(_on_fabric(), rules(), "proven"),
        "seals that nobody asks for": OnLedger(_on_fabric(), rules(seals=None), "attested"),
        "another channel": OnLedger(_on_fabric(), replace(rules(), channel="other"), FabricReason.OTHER_CHANNEL),
        "too few seals": OnLedger(_on_fabric(change=_unsealed), rules(), FabricReason.TOO_FEW_SEALS),
        "more endorsements wanted": OnLedger(_on_fabric(), rules(endorsements=4), FabricReason.TOO_FEW_ENDORSEMENTS),
        "other transactions": OnLedger(_on_fabric(change=_otherwise), rules(), FabricReason.DATA_HASH),
        "a transaction that failed": OnLedger(_on_fabric(change=_failed), rules(), FabricReason.FAILED_TRANSACTION),
        "a stranger's": OnLedger(_on_fabric(), replace(rules(), msps=rules().msps[1:]), FabricReason.FOREIGN_CREATOR),
    }  # fmt: skip


@functools.cache
def table() -> dict[str, OnLedger]:
    """All of them, by type and name."""
    return {
        f"{kind}: {name}": one
        for kind, found in (("evm", _evm()), ("bitcoin", _bitcoin()), ("fabric", _fabric()))
        for name, one in found.items()
    }
