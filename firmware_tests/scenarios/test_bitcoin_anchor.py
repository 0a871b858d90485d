"""A whole box anchors its heads in a real chain of the Bitcoin family: the key in the token, the transaction by the
desk of the log follower, the rest by the anchorer; both die by kill -9 on the way, and the chain reorganises."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.anchorer.views import AnchorView
from appliance.anchors import LedgerProfile, canonical, commitment_of, judge, read_receipt, write_profile
from appliance.anchors.bitcoin.judge import Rules
from appliance.anchors.bitcoin.proof import BitcoinProof
from appliance.anchors.bitcoin.scripts import commitments_of
from appliance.anchors.bitcoin.transaction import parse_transaction
from appliance.anchors.bitcoin.txout_proof import txout_proof
from appliance.asic import read_container
from appliance.box.ledgers import AccountSettings, BitcoinLedgerSettings
from appliance.box.settings import read_settings, write_settings
from appliance.calls.client import CallClient
from appliance.errors import Unavailable
from appliance.evidence.browser import rules
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import read_bundle
from appliance.log import BoxProofs, LogReader
from firmware_tests.evidence.browser.engine import judged_by_page
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.letters.test_evidence_file import taken
from firmware_tests.others.litecoin import LitecoinNode
from firmware_tests.running import RunningBox, cinnabar, wait_until

RULES = Rules(
    depth=3,
    easiest_bits="207fffff",
    genesis="530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9",
    least_work="6",  # of three blocks, each of which takes two tries
    work="scrypt",
)
PROFILE = LedgerProfile(name="ltc", rules=msgspec.Raw(canonical.encode(RULES)), tolerance_s=7_200, type="bitcoin")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[LitecoinNode]]:
    made = [LitecoinNode(tmp_path / name) for name in ("first", "second", "third")]
    for one in made:
        one.start()
    made[0].mine(105)
    made[0].join(*made[1:])
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def anchoring(open_directory: Path, nodes: list[LitecoinNode]) -> Iterator[RunningBox]:
    """A box with that chain as its ledger, its account not yet paid."""
    box = RunningBox(open_directory / "anchoring")
    box.provision("--account", "ltc-account")
    install(box.home, "demo")
    place = box.home.root / "ledgers"
    place.mkdir(exist_ok=True)
    (place / "ledger-ltc.json").write_bytes(write_profile(PROFILE))
    (place / "ltc-password").write_bytes(nodes[0].cookie.read_bytes())
    ledger = BitcoinLedgerSettings(
        name="ltc",
        profile="ledgers/ledger-ltc.json",
        account=AccountSettings(token="box", key_uri="pkcs11:object=ltc-account"),
        address_prefix="rltc",
        url=nodes[0].url,
        password_file="ledgers/ltc-password",
        poll_s=0.2,
        interval_s=3_600,
    )
    settings = read_settings(box.home.settings)
    write_settings(box.home.settings, msgspec.structs.replace(settings, ledgers=[ledger], box_leaf_interval_s=1))
    box.start()
    yield box
    if box.running:
        assert box.stop() == 0, box.said()


def newest(box: RunningBox) -> AnchorView | None:
    try:
        with CallClient(box.home.anchorer_socket) as client:
            found = msgspec.convert(client.call("anchors", "ltc", None, 1), list[AnchorView])
    except Unavailable:  # it is being restarted
        return None
    return found[0] if found else None


def wait_for(box: RunningBox, state: str) -> AnchorView:
    seen: list[AnchorView] = []

    def reached() -> bool:
        found = newest(box)
        seen[:] = [] if found is None else [found]
        return found is not None and found.state == state

    wait_until(reached, 60, f"{state}: {newest(box)} {box.said()}")
    return seen[0]


def kill(box: RunningBox, part: str) -> None:
    os.kill(box.processes()[part], signal.SIGKILL)


def test_a_boxs_head_becomes_final_through_deaths_and_a_reorganisation(
    anchoring: RunningBox, nodes: list[LitecoinNode], tmp_path: Path
) -> None:
    first, second, third = nodes
    due = wait_for(anchoring, "due")
    letter = begun(anchoring)
    wait_until(lambda: "rltc1" in (newest(anchoring) or due).cause, 30, "the account's address")
    first.pay((newest(anchoring) or due).cause.split(",")[0], ("1",))
    first.mine(2)
    wait_until(lambda: bool(first.cli("getrawmempool")), 60, "the transaction")
    [txid] = first.cli("getrawmempool")
    kill(anchoring, "anchorer")
    kill(anchoring, "log")
    first.join(second, third)
    first.part()
    first.mine()
    wait_for(anchoring, "mined")
    # The other part of the network never heard of it and grows faster.
    second.mine_without(3)
    first.join(second, third)
    wait_for(anchoring, "submitted")
    kill(anchoring, "anchorer")
    deadline = time.monotonic() + 60
    while (newest(anchoring) or due).state != "final":
        first.mine()
        time.sleep(0.3)
        assert time.monotonic() < deadline, newest(anchoring)
    final = wait_for(anchoring, "final")
    states = [state for state, _ in itertools.groupby(step.state for step in final.steps if step.state != "due")]
    assert states[:3] == ["submitted", "mined", "submitted"], states
    assert states[-1] == "final", states
    with CallClient(anchoring.home.anchorer_socket) as client:
        receipt = read_receipt(msgspec.convert(client.call("receipt", "ltc", final.number), bytes))
    proof = msgspec.json.decode(bytes(receipt.proof), type=BitcoinProof)
    assert first.cli("verifytxoutproof", txout_proof(proof).hex()) == [txid]
    assert anchors_of(first, commitment_of(receipt.checkpoint.encode())) == [txid]
    with anchoring.admin() as admin:
        rows = [row for row in admin.query("housekeeping_after", 0, 10_000) if row[1] == "chain-transaction"]
    assert len(rows) == 1
    assert rows[0][5][1:] == proof.anchor().encode()
    with client_of(anchoring) as applications:
        evidence = taken(applications, letter)
    wait_until(lambda: "ltc" in read_bundle(read_directory(anchoring.home.trust), None).ledgers, 30, "the bundle")
    # What is left when everything has stopped: the receipt and the profile, the letter and the trust bundle.
    assert anchoring.stop() == 0
    for one in nodes:
        one.stop()
    found = judge(receipt, commitment_of(receipt.checkpoint.encode()), PROFILE, now_us=time.time_ns() // 1000)
    assert (found.time_us, found.place) == (final.time_us, final.place)
    file = tmp_path / "letter.asice"
    file.write_bytes(evidence)
    verified = cinnabar("verify", "--json", "--trust", str(anchoring.home.trust), str(file))
    assert verified.returncode == 0, verified.stdout
    (fact,) = json.loads(verified.stdout)["files"][0]["letter"]["ledgers"]
    assert (fact["strength"], fact["by"], fact["place"]) == ("proven", "proof_of_work", final.place)
    script = tmp_path / "page-rules.js"
    script.write_text(rules())
    said = judged_by_page(script, read_directory(anchoring.home.trust), evidence)
    assert said["indication"] == "TOTAL-PASSED", said["told"]
    (in_page,) = said["facts"]["ledgers"]
    assert (in_page["strength"], in_page["by"], in_page["place"]["en"]) == (fact["strength"], fact["by"], final.place)


def begun(box: RunningBox) -> str:
    """A letter that the head covers which waits to be anchored."""
    with client_of(box) as client:
        letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "GD-2026-0413"}).happened.letter
        opening = json.loads(read_container(taken(client, letter))["META-INF/opening-0001.json"])
    logs = {log.tenant: log.origin for log in read_settings(box.home.settings).logs}
    leaves = BoxProofs(LogReader.of(box.home.logs, logs[None]))

    def waits() -> bool:
        leaf, head = leaves.covering("demo", logs["demo"], opening["index"]), newest(box)
        with CallClient(box.home.anchorer_socket) as anchorer:
            anchorer.call("now", "ltc")
        return leaf is not None and head is not None and head.size > leaf.index

    wait_until(waits, 30, "a head over it")
    return letter


def anchors_of(node: LitecoinNode, commitment: bytes) -> list[str]:
    found = []
    for height in range(1, node.height + 1):
        for one in node.cli("getblock", node.cli("getblockhash", str(height)), "2")["tx"]:
            if commitment in commitments_of(parse_transaction(bytes.fromhex(one["hex"]))):
                found.append(one["txid"])
    return found
