"""`cinnabar adapter check`: what officers would be refused is told before they sign."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from appliance.filing.cli import adapter

FUND = Path(__file__).with_name("fund.toml")
CATALOGUE = Path(__file__).parents[2] / "appliance" / "letters" / "catalogue"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(adapter, ["check", *map(str, arguments)])


def test_an_adapter_is_held_to_its_kind_and_hosts(tmp_path: Path) -> None:
    sound = run(FUND)
    assert sound.exit_code == 0, sound.output
    assert "sound  fund 1" in sound.output
    assert "filing_hosts must list: fund.example:443" in sound.output
    assert run(FUND, "--host", "fund.example:443", "--kind", CATALOGUE / "outbound-filing.toml").exit_code == 0
    other = run(FUND, "--host", "other.example:443")
    assert other.exit_code == 1
    assert "fund.example:443 is not among the box's filing_hosts" in other.output
    assert "of the kind outbound-filing" in run(FUND, "--kind", CATALOGUE / "bid-bond.toml").output
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(FUND.read_text().replace('event = "accept"', 'event = "bless"'))
    assert "outbound-filing has no event bless" in run(wrong).output
