"""A node that lies, hangs or speaks nonsense, between the box and a real one: nothing is ever called final by its word,
no head is anchored twice, and once it speaks the truth again all goes on."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from appliance.anchorer.ledger import LedgerUnavailable
from appliance.anchors import State
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.header import work_hash
from appliance.anchors.bitcoin.proof import BitcoinProof
from firmware_tests.anchorer.bitcoin.liar import Liar, Lie, Raw
from firmware_tests.anchorer.bitcoin.stage import Stage, anchors_in
from firmware_tests.others.litecoin import LitecoinNode


@pytest.fixture
def liar(node: LitecoinNode) -> Iterator[Liar]:
    made = Liar(node)
    yield made
    made.close()


@pytest.fixture
def lied_to(node: LitecoinNode, liar: Liar, make: Callable[..., Stage]) -> Stage:
    made = make(node, url=liar.url, timeout_s=2.0)
    node.pay(made.address, ("1", "1"))
    node.mine(3)
    return made


def tried(stage: Stage, steps: int = 4) -> list[str]:
    """Steps under lies; what they came to."""
    came: list[str] = []
    for _ in range(steps):
        try:
            came += [progress.cause for progress in stage.step()]
        except LedgerUnavailable as error:
            came.append(str(error))
    return came


def other_header(of: str, *, worked: bool) -> str:
    """The header of a block with another root, with work or without."""
    old = bytes.fromhex(of)
    for nonce in range(1_000):
        made = old[:36] + hashlib.sha256(b"another").digest() + old[68:76] + struct.pack("<I", nonce)
        if (int.from_bytes(work_hash(made, "scrypt"), "little") < 0x7FFFFF << 232) is worked:
            return made.hex()
    raise AssertionError


def in_header(change: Callable[[str], str]) -> Lie:
    """A lie about a header in bytes; about its height and depth the truth."""
    return lambda _, true: change(true) if isinstance(true, str) else true


def in_member(name: str, change: Callable[[Any], Any]) -> Lie:
    return lambda _, true: {**true, name: change(true[name])} if isinstance(true, dict) else true


NONSENSE: list[Any] = [None, 0, -1, 1.5, True, "", "zz", "00" * 32, [], {}, [None], {"tx": []}, 10**400, "x" * 70_000]


def mined_by_its_word(stage: Stage, liar: Liar) -> int:
    """An anchor that was sent and stands in one block."""
    number = stage.due()
    stage.until(lambda: bool(liar.node.cli("getrawmempool")))
    liar.node.mine()
    return number


LIES: list[tuple[str, str, Lie]] = [
    ("the tip is far above", "getblockheader", in_member("height", lambda height: height + 100)),
    ("blocks that are not there", "getblockhash", lambda _, true: true or "ab" * 32),
    ("a header without work", "getblockheader", in_header(lambda one: other_header(one, worked=False))),
    ("a header of another block", "getblockheader", in_header(lambda one: other_header(one, worked=True))),
    ("a header cut short", "getblockheader", in_header(lambda one: one[:-2])),
    ("other transactions in the block", "getblock", in_member("tx", lambda listed: [*listed[:-1], "cd" * 32])),
    ("one transaction fewer", "getblock", in_member("tx", lambda listed: listed[:-1] or ["ef" * 32])),
    ("the last transaction twice", "getblock", in_member("tx", lambda listed: [*listed, *listed[-1:] * 2])),
    ("another first block", "getblockhash", lambda params, true: "11" * 32 if params == [0] else true),
    ("another first transaction", "getrawtransaction", lambda _, true: true[:-2] + "ff"),
]


@pytest.mark.parametrize(("method", "lie"), [row[1:] for row in LIES], ids=[row[0] for row in LIES])
def test_a_lie_about_blocks_makes_nothing_final(
    node: LitecoinNode, liar: Liar, lied_to: Stage, method: str, lie: Lie
) -> None:
    """While the anchor is one block deep, and again while it is three: what is final then would be so by the lie."""
    number = mined_by_its_word(lied_to, liar)
    liar.lies[method] = lie
    tried(lied_to)
    assert lied_to.state(number) is not State.FINAL
    node.mine(2)
    tried(lied_to, 2)
    if lied_to.state(number) is State.FINAL:  # the lie was not about it: what was said of it is true
        proof = msgspec.json.decode(bytes(lied_to.receipts[number].proof), type=BitcoinProof)
        true = [node.cli("getblockhash", str(node.height - depth)) for depth in (2, 1, 0)]
        assert [shown(one.hash) for one in proof.chain()] == true
    liar.lies.clear()
    lied_to.until(lambda: lied_to.state(number) is State.FINAL, node.mine)
    assert len(lied_to.desk.signed) == 1
    assert all(len(sent) == 1 for sent in anchors_in(node, lied_to).values())


METHODS = ["getblockhash", "getbestblockhash", "getblockheader", "getblock", "getrawtransaction", "getmempoolentry"]
METHODS += ["gettxout", "scantxoutset", "sendrawtransaction", "getmempoolinfo", "getnetworkinfo", "estimatesmartfee"]


@pytest.mark.parametrize("method", METHODS)
def test_nonsense_in_place_of_an_answer_makes_nothing_final_and_breaks_nothing(
    node: LitecoinNode, liar: Liar, lied_to: Stage, method: str
) -> None:
    number = lied_to.due()
    for told in [
        *NONSENSE,
        Raw(b""),
        Raw(b"[]"),
        Raw(b'{"result":'),
        Raw(b"[" * 100_000),
        Raw(b"{}", 500),
        Raw(b"", 401),
    ]:
        liar.lies[method] = lambda *_, told=told: told
        tried(lied_to, 1)
        assert lied_to.state(number) is not State.FINAL
    liar.lies.clear()
    lied_to.until(lambda: lied_to.state(number) is State.FINAL, node.mine)
    assert all(len(sent) == 1 for sent in anchors_in(node, lied_to).values())


@pytest.mark.parametrize(
    "lie",
    [
        in_member("value", lambda _: 5.0),  # more than the coin has
        in_member("value", lambda _: 0.5),  # less: the rest would go to whoever mines it
        in_member("scriptPubKey", lambda script: {**script, "hex": "0014" + "00" * 20}),
    ],
)
def test_a_lie_about_a_coin_costs_nothing(node: LitecoinNode, liar: Liar, lied_to: Stage, lie: Lie) -> None:
    """The amount is signed with the transaction: one that is not true makes it worthless, and it is made anew."""
    number = lied_to.due()
    liar.lies["gettxout"] = lie
    tried(lied_to, 3)
    assert node.cli("getrawmempool") == []
    liar.lies.clear()
    lied_to.until(lambda: lied_to.state(number) is State.FINAL, node.mine)
    [(_, [txid])] = anchors_in(node, lied_to).items()
    [paid] = [one for one in lied_to.desk.signed if one.txid[::-1].hex() == txid]
    assert sum(one.amount for one in paid.outputs) > 99_990_000


def test_a_node_that_says_nothing_was_taken_does_not_get_a_second_anchor(
    node: LitecoinNode, liar: Liar, lied_to: Stage
) -> None:
    """It hides the transaction that it took, and says that its coin is there."""
    number = lied_to.due()
    lied_to.step()
    liar.lies["getmempoolentry"] = lambda *_: Raw(b'{"error":{"code":-5,"message":"gone"},"result":null}', 500)
    liar.lies["sendrawtransaction"] = lambda *_: Raw(
        b'{"error":{"code":-26,"message":"min relay fee"},"result":null}', 500
    )
    tried(lied_to, 6)
    liar.lies.clear()
    lied_to.until(lambda: lied_to.state(number) is State.FINAL, node.mine)
    assert len({one.inputs[0].spends for one in lied_to.desk.signed}) == 1
    assert all(len(sent) == 1 for sent in anchors_in(node, lied_to).values())


def test_a_node_that_wants_a_fortune_gets_no_more_than_the_settings_allow(
    node: LitecoinNode, liar: Liar, lied_to: Stage
) -> None:
    number = lied_to.due()
    liar.lies["estimatesmartfee"] = lambda *_: {"feerate": 10.0, "blocks": 6}
    lied_to.until(lambda: lied_to.state(number) is State.FINAL, node.mine)
    assert 100_000_000 - lied_to.desk.signed[0].outputs[1].amount == lied_to.settings.most_fee


@pytest.mark.parametrize("pause_s", [3.0])
def test_a_node_that_hangs_is_given_up_in_time(liar: Liar, lied_to: Stage, pause_s: float) -> None:
    lied_to.due()
    liar.lies["getbestblockhash"] = lambda *_: Raw(b"{}", pause_s=pause_s)
    started = time.monotonic()
    with pytest.raises(LedgerUnavailable, match="no answer"):
        lied_to.step()
    assert time.monotonic() - started < pause_s


def test_an_endless_answer_is_cut(liar: Liar, lied_to: Stage) -> None:
    lied_to.due()
    liar.lies["getbestblockhash"] = lambda *_: Raw(b'"' + b"x" * 40 * 1024 * 1024)
    with pytest.raises(LedgerUnavailable, match=r"too large|no answer"):
        lied_to.step()


def test_a_password_stands_in_no_error(liar: Liar, lied_to: Stage, node: LitecoinNode) -> None:
    lied_to.due()
    secret = node.cookie.read_text().partition(":")[2]
    liar.lies["getbestblockhash"] = lambda *_: Raw(b"", 401)
    with pytest.raises(LedgerUnavailable) as refused, contextlib.suppress(KeyError):
        lied_to.step()
    assert secret not in str(refused.value)
