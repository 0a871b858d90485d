"""Filings where something is not as it should be: it holds up, hides and forgets nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from appliance.api.filing import sender
from appliance.api.filing.adapters import Adapters
from appliance.box.home import Home
from appliance.ceremonies import DocumentRefused
from appliance.ceremonies.actions import InstallKind
from appliance.filing import AdapterRefused, LoadedAdapter, NotAnswered, check_adapter, read_adapter
from appliance.keymaster.actions.kinds import check_kind
from firmware_tests.letters.kinds import CATALOGUE, catalogue, install

FUND = (Path(__file__).parent / "fund.toml").read_text()


def adapter_of(**changes: Any) -> LoadedAdapter:
    loaded = read_adapter(FUND.encode())
    return LoadedAdapter(msgspec.structs.replace(loaded.adapter, **changes), loaded.digest, loaded.signer)


def test_letters_that_one_event_splits_off_are_not_filed_under_one_number(tmp_path: Path) -> None:
    voucher, split = catalogue("credit-voucher").kind, "parts that transfer splits off begin in held"
    with pytest.raises(AdapterRefused, match=split):
        check_adapter(adapter_of(kind=voucher.id, state="held"), voucher, ["fund.example:443"])
    home = Home(tmp_path)
    install(home, "demo")
    (home.adapters / "demo" / "fund").mkdir(parents=True)
    (home.adapters / "demo" / "fund" / "1.toml").write_text(
        FUND.replace('"outbound-filing"', '"credit-voucher"').replace('"submitted"', '"held"')
    )
    action = InstallKind(tenant="demo", file=(CATALOGUE / "credit-voucher.toml").read_text())
    with pytest.raises(DocumentRefused, match=f"does not go with the adapter fund: state: {split}"):
        check_kind(home, action)
    check_kind(home, InstallKind(tenant="demo", file=(CATALOGUE / "bid-bond.toml").read_text()))


def test_an_adapter_that_cannot_be_read_now_is_there_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    directory = home.adapters / "demo" / "fund"
    directory.mkdir(parents=True)
    (directory / "1.toml").write_text(FUND)
    adapters, read = Adapters(home), Path.read_bytes

    def failing(path: Path) -> bytes:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "read_bytes", failing)  # a mode of 000 keeps nobody out who runs as root
    assert (adapters.of("demo"), adapters.are_read("demo")) == ([], False)
    monkeypatch.setattr(Path, "read_bytes", read)
    assert [one.adapter.id for one in adapters.of("demo")] == ["fund"]
    (directory / "2.toml").write_text("no adapter")
    assert (adapters.of("demo"), adapters.are_read("demo")) == ([], False)


def test_many_filings_of_one_tenant_have_no_other_ones_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = adapter_of()
    tried: Counter[str] = Counter()

    async def signed(*_: object) -> Any:
        return SimpleNamespace(number="")

    async def unanswered(_: object, errand: object) -> Any:
        raise NotAnswered("nobody is there")

    monkeypatch.setattr(sender, "_REMEMBERED", 2)
    monkeypatch.setattr(sender, "AT_ONCE", 100)
    monkeypatch.setattr(sender, "sign_filing", signed)
    monkeypatch.setattr(sender, "run_errand", unanswered)

    class Counting(sender.Sender):
        async def _file(self, caller: Any, loaded: LoadedAdapter, before: Any, attempt: Any) -> None:
            tried[before.head] += 1
            await super()._file(caller, loaded, before, attempt)

        async def round(self) -> None:
            for tenant, heads in (("many", ("a", "b", "c")), ("few", ("d",))):
                caller: Any = SimpleNamespace(tenant=tenant)
                for head in heads:
                    letter: Any = SimpleNamespace(head=head, letter=head, state=loaded.adapter.state)
                    self._begin(caller, loaded, letter)
            await asyncio.gather(*(one for tasks in self._under_way.values() for one in tasks.values()))

    async def main() -> None:
        home = SimpleNamespace(filer_socket=Path("nowhere"))
        filing = Counting(SimpleNamespace(home=home))  # type: ignore[arg-type]
        for _ in range(3):
            await filing.round()

    asyncio.run(main())
    assert tried["a"] == 3, "of whose attempt nothing is remembered any more"
    assert tried["d"] == 1, "it waits its time"
