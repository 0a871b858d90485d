"""A box that anchors on the chains of two bodies, letters as they stood there, and who reads them with every chain
stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import rfc8785
from Crypto.Hash import keccak

from appliance.anchorer.client import AnchorerClient
from appliance.anchors import LedgerProfile, canonical, write_profile
from appliance.asic import read_container, write_container
from appliance.box.ledgers.common import AccountSettings
from appliance.box.settings import read_settings, write_settings
from appliance.client import Client
from appliance.evidence import read_bundle
from appliance.evidence.browser import rules
from appliance.evidence.directory import read_directory
from appliance.letters.approvers import FILE
from firmware_tests.anchorer.evm.conftest import CLIQUE_KEY, place_on_clique
from firmware_tests.anchorer.evm.test_box import made_account
from firmware_tests.evidence.browser.engine import judged_by_page
from firmware_tests.letters.kinds import install
from firmware_tests.mgmt_service.managed import OFFICERS, ManagedBox
from firmware_tests.others.evm_nodes import CliqueChain, account_of
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import Offline, wait_until

LEDGERS = ("consortium", "second-chain")
"""Two chains apart from each other, each of three institutions whose nodes seal."""
CHAIN_IDS = (61_337, 61_338)
TENANTS = ("guarantor", "bank", "platform")


@dataclass(frozen=True)
class Told:
    """What a chain's own node tells of a transaction."""

    transaction: str
    block: str
    height: int
    time: int
    """Seconds since the epoch."""


@dataclass
class Kept:
    """A letter's evidence after one of its steps, taken once both chains held it."""

    letter: str
    file: bytes
    facts: Mapping[str, Any]
    """What else its story has to say."""

    def anchor(self, ledger: str) -> tuple[str, bytes]:
        """The entry about a ledger."""
        (found,) = ((name, entry) for name, entry in read_container(self.file).items() if _is_anchor(name, ledger))
        return found

    def receipt(self, ledger: str) -> dict[str, Any]:
        return dict(json.loads(self.anchor(ledger)[1])["receipt"])

    def transaction(self, ledger: str) -> str:
        """Its id: the digest of the very bytes that the receipt holds."""
        raw = bytes.fromhex(self.receipt(ledger)["proof"]["transaction"])
        return "0x" + keccak.new(digest_bits=256, data=raw).hexdigest()

    def with_anchor_of(self, other: Kept, ledger: str) -> bytes:
        """The file with another letter's anchor in the place of its own."""
        name, entry = other.anchor(ledger)
        return self._with(ledger, name, entry)

    def with_receipt_changed(self, ledger: str, member: str) -> bytes:
        """The file with one digit of a part of the receipt's proof another one; of a trie's proof in its last node."""
        name, entry = self.anchor(ledger)
        said = json.loads(entry)
        proof = said["receipt"]["proof"]
        if isinstance(proof[member], list):
            proof[member][-1] = _changed(proof[member][-1])
        else:
            proof[member] = _changed(proof[member])
        return self._with(ledger, name, rfc8785.dumps(said))

    def _with(self, ledger: str, name: str, entry: bytes) -> bytes:
        entries = read_container(self.file)
        return write_container(
            (name, entry) if _is_anchor(old, ledger) else (old, content) for old, content in entries.items()
        )


def _changed(digits: str) -> str:
    middle = len(digits) // 2
    return digits[:middle] + ("0" if digits[middle] != "0" else "1") + digits[middle + 1 :]


def _is_anchor(name: str, ledger: str) -> bool:
    return name.startswith(f"META-INF/anchor-{ledger}-")


@dataclass
class Deposits:
    """What is left when the box and the chains have stopped."""

    trust: Path
    profiles: Mapping[str, LedgerProfile]
    steps: dict[str, list[Kept]]
    """By row."""
    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    """By ledger and transaction: what its node said while it ran."""

    def reader(self, directory: Path) -> Reader:
        return Reader(self, directory)


class Reader:
    """Somebody with files and the trust bundle. No chain runs any more."""

    def __init__(self, deposits: Deposits, directory: Path) -> None:
        self._deposits, self._directory = deposits, directory
        self._offline = Offline(deposits.trust, directory)
        self._script = directory / "page-rules.js"
        self._script.write_text(rules())

    def shown(self, kept: Kept, ledger: str) -> Told:
        """Where the ledger is proven to hold the letter: as `cinnabar verify` says, and as the chain's node said while
        it ran. Raises AssertionError where it is not proven, or they differ."""
        report = self._offline.verify(kept.file)
        assert report["indication"] == "TOTAL-PASSED", json.dumps(report, ensure_ascii=False)[:4000]
        assert report["files"][0]["letter"]["letter"] == kept.letter
        fact = _fact(report, ledger)
        assert (fact["strength"], fact["by"]) == ("proven", "validator_seals"), fact
        in_page = self._in_page(kept.file, "TOTAL-PASSED", ledger)
        assert (in_page["strength"], in_page["by"], in_page["place"]["en"]) == ("proven", fact["by"], fact["place"])
        told = self._deposits.told[ledger, kept.transaction(ledger)]
        assert fact["place"] == f"block {told.height} ({told.block})"
        assert fact["time"] == f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(told.time))} UTC"
        return told

    def proven(self, kept: Kept, *ledgers: str) -> bool:
        """Whether every one of these ledgers is proven to hold it. Raises AssertionError with what is not so."""
        return all(self.shown(kept, ledger) for ledger in ledgers)

    def judged(self, file: bytes) -> str:
        """The verdict on a file."""
        return str(self._offline.verify(file)["indication"])

    def cause(self, file: bytes, ledger: str) -> str:
        """The reason for which a receipt in a file is refused."""
        report = self._offline.verify(file)
        assert report["indication"] == "INDETERMINATE"
        fact = _fact(report, ledger)
        assert fact["strength"] == "refused"
        reason = str(fact["reason"]).partition(":")[0]
        assert self._in_page(file, "INDETERMINATE", ledger)["reason"]["en"].partition(":")[0] == reason
        return reason

    def _in_page(self, file: bytes, indication: str, ledger: str) -> dict[str, Any]:
        """What the page for browsers says of a ledger in a file, which it comes to this verdict on."""
        said = judged_by_page(self._script, read_directory(self._deposits.trust), file)
        assert said["indication"] == indication, said["told"]
        (fact,) = (one for one in said["facts"]["ledgers"] if one["ledger"] == ledger)
        return dict(fact)

    def refused(self, kept: Kept, ledger: str, **otherwise: Any) -> str:
        """The reason for which the ledger's receipt is refused by a reader whose profile of it says so instead."""
        profile = self._deposits.profiles[ledger]
        changed = msgspec.Raw(canonical.encode(msgspec.json.decode(profile.rules) | otherwise))
        path = self._directory / f"ledger-{ledger}.json"
        path.write_bytes(write_profile(msgspec.structs.replace(profile, rules=changed)))
        report = self._offline.verify(kept.file, ledgers=[path])
        assert report["indication"] == "INDETERMINATE"
        fact = _fact(report, ledger)
        assert fact["strength"] == "refused"
        return str(fact["reason"]).partition(":")[0]

    def rules(self, ledger: str) -> dict[str, Any]:
        """What the trusted profile of a ledger says."""
        return dict(msgspec.json.decode(self._deposits.profiles[ledger].rules))


def _fact(report: dict[str, Any], ledger: str) -> dict[str, Any]:
    (fact,) = (one for one in report["files"][0]["letter"]["ledgers"] if one["ledger"] == ledger)
    return dict(fact)


@dataclass
class House:
    """The institutions' programs, and who approves."""

    guarantor: Client
    bank: Client
    platform: Client
    office: Office


Steps = Iterator[tuple[Client, str, Mapping[str, Any]]]
"""A story: after each of its steps, whose letter is to stand on the chains before it goes on."""
Story = Callable[[House], Steps]


def deposited(directory: Path, chains_in: Path, office: Office, stories: Mapping[str, Story]) -> Deposits:
    """Run every story, with each of its steps on both chains; then stop the chains and the box."""
    made = ManagedBox(directory / "anchored-town", *TENANTS)
    box = made.running
    box.provision()
    for tenant in TENANTS:
        install(box.home, tenant)
        office.put_in_force(box.home, tenant)
    account = made_account(box)
    chains: dict[str, CliqueChain] = {}
    try:
        profiles = {}
        for name, chain_id in zip(LEDGERS, CHAIN_IDS, strict=True):
            place = chains_in / name
            place.mkdir()
            funded = [account_of(CLIQUE_KEY), "0x" + account.hex()]
            chain = chains[name] = CliqueChain(place, funded, chain_id=chain_id, timestamp=int(time.time()))
            profiles[name] = _connect(box.home.root, name, chain, account)
        made.start()
        with made.console() as console:
            office.enrol(console)
        made.found_with({scope: OFFICERS for scope in ("box", *(f"tenant/{one}" for one in TENANTS))}, threshold=2)
        wait_until(lambda: all((box.home.policies / tenant / FILE).exists() for tenant in TENANTS))
        with made.client("guarantor") as guarantor, made.client("bank") as bank, made.client("platform") as platform:
            house = House(guarantor, bank, platform, office)
            steps = _run(
                {row: story(house) for row, story in stories.items()}, box.home.anchorer_socket, [*chains.values()]
            )
        wait_until(lambda: set(LEDGERS) <= set(read_bundle(read_directory(box.home.trust), None).ledgers), 30)
        result = Deposits(box.home.trust, profiles, steps)
        for kept in (one for several in steps.values() for one in several):
            for ledger, chain in chains.items():
                name = kept.transaction(ledger)
                result.told[ledger, name] = _told(chain, name)
        return result
    finally:
        for chain in chains.values():
            chain.stop()
        assert made.stop() == 0, box.said()


def _run(stories: Mapping[str, Steps], anchorer: Path, chains: Sequence[CliqueChain]) -> dict[str, list[Kept]]:
    """All stories a step at a time, so that one anchor serves all of them."""
    steps: dict[str, list[Kept]] = {row: [] for row in stories}
    going = dict(stories)
    while going:
        waiting = {}
        for row, story in list(going.items()):
            if (step := next(story, None)) is None:
                del going[row]
            else:
                waiting[row] = step
        ends = time.monotonic() + 90
        while waiting:
            assert time.monotonic() < ends, f"not on both chains: {sorted(waiting)}; {_troubles(anchorer)}"
            for row, (client, letter, facts) in list(waiting.items()):
                file = client.evidence(letter)
                if all(any(_is_anchor(name, one) for name in read_container(file)) for one in LEDGERS):
                    steps[row].append(Kept(letter, file, facts))
                    del waiting[row]
            if waiting:
                with AnchorerClient(anchorer) as desk:
                    for ledger in desk.ledgers():
                        if not ledger.open:
                            desk.now(ledger.name)
                for chain in chains:
                    chain.seal()  # in turn, by command: signers that race on a busy machine may part for good
                time.sleep(1.05)  # no block's time runs ahead of the clock
    return steps


def _troubles(anchorer: Path) -> str:
    with AnchorerClient(anchorer) as desk:
        return "\n".join(f"{one.name}: {one.trouble} {one.newest}" for one in desk.ledgers())


def _connect(home: Path, name: str, chain: CliqueChain, account: bytes) -> LedgerProfile:
    place = place_on_clique(chain, home, seal=chain.seal).ruled(accounts=(account.hex(),))
    path = f"ledgers/ledger-{name}.json"
    ledger = place.changed(
        name=name,
        profile=path,
        poll_s=0.3,
        account=AccountSettings(token="box", key_uri="pkcs11:object=chain-account"),
    )
    (home / path).parent.mkdir(exist_ok=True)
    (home / path).write_bytes(write_profile(ledger.profile))
    (home / path).chmod(0o644)
    settings = read_settings(home / "box.json")
    changed = msgspec.structs.replace(settings, ledgers=[*settings.ledgers, ledger.settings], box_leaf_interval_s=1)
    write_settings(home / "box.json", changed)
    return ledger.profile


def _told(chain: CliqueChain, transaction: str) -> Told:
    receipt = chain.nodes[-1].mined(transaction)
    block = chain.nodes[-1]("eth_getBlockByNumber", receipt["blockNumber"], False)
    return Told(transaction, receipt["blockHash"], int(receipt["blockNumber"], 16), int(block["timestamp"], 16))
