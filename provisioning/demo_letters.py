"""The part of the demonstration in which letters live: a veiled bid bond, and a voucher that is split and financed."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from appliance.box.home import Home
from appliance.box.settings import read_settings, write_settings
from provisioning.rehearsal_seal import NAME as SEAL

TENANT = "demo"
INSTITUTION = "Demo Bank"
LETTERS_URL = "https://localhost:8445/letters"
"""Where the public listener answers once it is turned on (`cinnabar run --public 127.0.0.1:8445`)."""
OPENING_S = 15
"""How soon the bids of the demonstration are opened: long enough to show that it is too early before."""
ORDER = "RH-2026-000412"
BENEFICIARY = {"name": "广州市公共资源交易中心", "id": "12440100MB2C00000A"}
BIDDER = {"name": "华南市政建设有限公司", "id": "91440101MA5CXXXX1K"}
DEBTOR = {"name": "国机汽车股份有限公司", "id": "91110000100000001A"}
SUPPLIERS = (
    ("常州精工机械有限公司", "91320400MA1000002B", "300000.00"),
    ("无锡铸造有限公司", "91320200MA1000003C", "250000.00"),
    ("镇江物流有限公司", "91321100MA1000004D", "50000.00"),
)


@dataclass
class LetterDemo:
    """`run` and `refused` type a command of `cinnabar` and give what it says; the latter expects it to be refused."""

    home: Home
    letters: Path
    kind_file: Path
    shown: Callable[[Path], str]
    run: Callable[..., str]
    refused: Callable[..., str]
    title: Callable[[str, str], None]
    kept: dict[str, str] = field(default_factory=dict)
    """Evidence files, each with its letter."""

    def install(self) -> None:
        """Put the demonstration's own kind beside the kinds that ship, before the box runs."""
        target = self.home.kinds / TENANT / "veiled-bid-bond" / "1.toml"
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        target.write_bytes(self.kind_file.read_bytes())

    def name(self) -> None:
        """Give the tenant its institution's name, and pages the address where their letters are checked (QR)."""
        settings = read_settings(self.home.settings)
        tenants = [replace(one, organisation=INSTITUTION) if one.name == TENANT else one for one in settings.tenants]
        front = replace(settings.front, letters_url=LETTERS_URL)
        write_settings(self.home.settings, replace(settings, tenants=tenants, front=front))

    def show(self) -> None:
        """All of it, on the running box."""
        self._bond()
        self._voucher()

    def keep_evidence(self) -> None:
        """One file a letter, with its witnesses' words and its ledgers' receipts."""
        for name, letter in self.kept.items():
            self.run("letter", "evidence", *self._home, letter, "--output", self._path(name))

    def _bond(self) -> None:
        self.title(
            "A bid bond that nobody reads before the opening",
            "the bidder's name is encrypted to the box's HSM and to a bid code that the box has not",
        )
        bidder = self._file("bidder.json", BIDDER)
        key, code, envelope = (self._path(name) for name in ("release-key.pem", "bid-code.txt", "bidder.envelope"))
        self.run("veil", "key", *self._home, *self._trust, "--output", key)
        self.run(
            "veil", "encrypt", bidder, "--release-key", key, *self._trust, "--tenant", TENANT, "--kind",
            self.shown(self.kind_file), "--field", "bidder", "--reference", ORDER,
            "--code-file", code, "--output", envelope,
        )  # fmt: skip
        opening = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=OPENING_S)
        order = {
            "order_number": ORDER,
            "tender_code": "GD-2026-0412",
            "project": "广州市第三污水处理厂扩建工程",
            "beneficiary": BENEFICIARY,
            "amount": money("500000.00"),
            "opening": opening.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "valid_until": "2099-12-31",
        }
        fields = self._file("bond.json", order)
        page = ("--document", "--seen", SEAL, "--output", self.shown(self.letters))
        said = self.run(
            "letter", "begin", *self._home, "veiled-bid-bond", fields, "--envelope", f"bidder={envelope}", *page
        )
        letter = said.split()[1]
        opened = ("letter", "event", *self._home, letter, "open", "--code", f"bidder={code}")
        if time.time() < opening.timestamp() - 8:  # on a slow machine the time comes meanwhile
            self.refused(*opened)
        time.sleep(max(0.0, opening.timestamp() - time.time()) + 0.1)
        self.run(*opened, *page)
        self._event(letter, "extend", fields={"valid_until": "2100-12-31"})
        self._event(letter, "claim", {"claimed": money("500000.00"), "reason": "中标后未在规定期限内签订合同"})
        self._event(letter, "pay", {"paid": money("200000.00")})
        self._event(letter, "release", page=True)
        self.kept["bond.asice"] = letter

    def _voucher(self) -> None:
        self.title(
            "A credit voucher, split over three suppliers, financed once",
            "the sum never changes; the same trade makes no second voucher, and no part is financed twice",
        )
        voucher: dict[str, Any] = {
            "number": "RH-V-0001",
            "debtor": DEBTOR,
            "holder": {"name": "南京装配有限公司", "id": "91320100MA1000001A"},
            "face": money("600000.00"),
            "issued_on": day(0),
            "due": day(180),
            "trade": "5f" * 32,
        }
        begin = ("letter", "begin", *self._home, "credit-voucher")
        letter = self.run(*begin, self._file("voucher.json", voucher)).split()[1]
        again = self._file("voucher-again.json", voucher | {"number": "RH-V-0002"})
        self.refused(*begin, again)
        self._event(letter, "confirm")
        parts = [
            {"amount": money(amount), "holder": {"name": name, "id": identifier}}
            for name, identifier, amount in SUPPLIERS
        ]
        said = self._event(letter, "transfer", {"parts": parts})
        first = next(line.split()[1] for line in said.splitlines() if line.startswith("part "))
        receipt = self.letters / "zhongdeng.txt"
        receipt.write_text("中登网 登记证明编号 RH-0000-0001\n")
        funder = {"funder": {"name": "示例银行", "id": "91110000100000002B"}}
        given = ("--receipt", f"zhongdeng:RH-0000-0001={self.shown(receipt)}")
        self._event(first, "finance", {"rate": "0.0385"}, funder, given)
        self._event(first, "finance", {"rate": "0.0385"}, funder, given, type_=self.refused)
        self.kept["voucher-part.asice"] = first
        self.run("letter", "list", *self._home)

    @property
    def _home(self) -> tuple[str, str]:
        return ("--home", self.shown(self.home.root))

    @property
    def _trust(self) -> tuple[str, ...]:
        """What the bidder checks the release key with, and where it keeps what it has seen."""
        return ("--trust", self.shown(self.home.trust), "--state", self.shown(self.letters.parent / "verifier"))

    def _event(
        self,
        letter: str,
        event: str,
        data: dict[str, Any] | None = None,
        fields: dict[str, Any] | None = None,
        more: tuple[str, ...] = (),
        *,
        page: bool = False,
        type_: Callable[..., str] | None = None,
    ) -> str:
        words = ["letter", "event", *self._home, letter, event]
        for option, values in (("data", data), ("fields", fields)):
            if values is not None:
                words += [f"--{option}", self._file(f"{event}-{option}.json", values)]
        if page:
            words += ["--document", "--seen", SEAL, "--output", self.shown(self.letters)]
        return (type_ or self.run)(*words, *more)

    def _file(self, name: str, value: object) -> str:
        path = self.letters / name
        path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
        return self.shown(path)

    def _path(self, name: str) -> str:
        return self.shown(self.letters / name)


def money(amount: str) -> dict[str, str]:
    """An amount in yuan, as letters have it."""
    return {"amount": amount, "currency": "CNY"}


def day(after: int) -> str:
    """So many days from today, as China's calendar has it."""
    now = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8)))
    return (now + datetime.timedelta(days=after)).date().isoformat()
