"""`cinnabar kind` on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from appliance.letters.cli import kind
from appliance.letters.kind import read_kind
from appliance.letters.shipped import shipped
from firmware_tests.letters import sound_kind


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(kind, [str(one) for one in arguments])


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.toml"
    path.write_text(sound_kind.TEXT, encoding="utf-8")
    return path


def test_a_sound_kind_passes_and_a_broken_one_names_its_places(sample: Path) -> None:
    assert run("check", sample, "bid-bond").exit_code == 0
    sample.write_text(sound_kind.TEXT.replace('amount = "paid"', 'amount = "sum"'), encoding="utf-8")
    broken = run("check", sample)
    assert broken.exit_code == 1
    assert "events.pay.value.amount: there is no field sum" in broken.output
    assert "没有字段 sum" in run("check", sample, "--language", "zh").output
    sample.write_bytes(b"a = [")
    assert "not TOML" in run("check", sample).output
    assert run("check", sample).exit_code == 1


def test_every_kind_that_ships_is_listed_and_checked_as_a_whole() -> None:
    listed = run("list", "--language", "zh").output
    names = [line.split()[0] for line in listed.splitlines()]
    assert "credit-voucher" in names
    assert "电子债权凭证" in listed
    assert run("check", "--whole", *names).exit_code == 0
    missing = run("check", "--whole", "quality-bond")
    assert missing.exit_code == 1
    assert "there is no kind contract among these" in missing.output


def test_a_kind_is_shown_in_both_languages_with_its_picture(tmp_path: Path) -> None:
    for language, words in (("en", "veiled until released"), ("zh", "封存至揭示")):
        svg = tmp_path / f"{language}.svg"
        shown = run("show", "bid-bond-veiled", "--svg", svg, "--language", language)
        assert shown.exit_code == 0
        assert words in shown.output
        ElementTree.parse(svg)  # noqa: S314 - made here


def test_a_kind_says_whose_an_event_is() -> None:
    assert "holder: only who acts for its holder" in run("show", "credit-voucher").output
    assert "holder：仅限代表 holder 的应用" in run("show", "credit-voucher", "--language", "zh").output


def test_a_kind_says_what_anybody_is_told_and_how_it_is_found() -> None:
    english, chinese = (run("show", "bid-bond", "--language", one).output for one in ("en", "zh"))
    assert "Public to whoever has its code and tender_code: tender_code, amount, valid_until" in english
    assert "Found without its code by bidder.name + tender_code; from opening" in english
    assert "公开查验，凭编号与 tender_code：" in chinese
    assert "无编号查验，凭 bidder.name + tender_code；起始时间 opening" in chinese
    assert "Tender code: text, [A-Za-z0-9-]+" in english
    assert "party, with its id" in english
    assert "serves as" not in "".join(run("show", one, "--language", "zh").output for one in shipped())


def test_a_kind_in_chinese_names_states_and_moves_in_chinese() -> None:
    shown = run("show", "credit-voucher", "--language", "zh").output
    found = read_kind(shipped()["credit-voucher"]).kind
    _, _, events = shown.partition("\n事件\n")
    for name, event in found.events.items():
        if event.to is not None:
            assert f"-> {found.states[event.to].title.zh};" in events, name
    assert not re.search(r"价值：[a-z]", shown)
    assert not re.search(r"余额为零 -> [a-z]", shown)


def test_two_versions_are_compared(sample: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    text = sound_kind.TEXT.replace("version = 1", "version = 2").replace('by = ["holder"]', 'by = ["holder", "desk"]')
    new.write_text(text, encoding="utf-8")
    compared = run("diff", sample, new)
    assert "! loosened   events.transfer.by: now also desk" in compared.output
    assert "keep the old rule" in compared.output
    assert "放宽" in run("diff", sample, new, "--language", "zh").output
    assert "does not follow" in run("diff", new, sample).output
    assert "no such file" in run("show", "no-such").output


def test_a_version_that_could_not_be_installed_is_told(sample: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    text = sound_kind.TEXT.replace("version = 1", "version = 2").replace('measure = "value"', 'measure = "letters"')
    new.write_text(text, encoding="utf-8")
    compared = run("diff", sample, new)
    assert compared.exit_code == 1
    assert "counts otherwise under this name" in compared.output
    assert "计量方式不同" in run("diff", sample, new, "--language", "zh").output


def test_a_file_that_misleads_the_terminal_is_shown_as_code_points(sample: Path) -> None:
    sample.write_text(sound_kind.TEXT.replace('en = "Pay"', 'en = "\\u001b[31mPay"'), encoding="utf-8")
    shown = run("check", sample)
    assert shown.exit_code == 1
    assert "\x1b" not in shown.output
