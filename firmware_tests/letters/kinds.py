"""Kinds of the catalogue, loaded, and fields that fit them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from appliance.box.home import Home
from appliance.letters.kind import LoadedKind, read_kind

CATALOGUE = Path(str(files("appliance.letters"))) / "catalogue"


def catalogue(kind: str) -> LoadedKind:
    return read_kind((CATALOGUE / f"{kind}.toml").read_bytes())


BID_BOND = catalogue("bid-bond")
OWN = Path(__file__).parent / "files"
"""Kinds of these tests' own."""
FIELDS: dict[str, object] = {
    "tender_code": "GD-2026-0412",
    "project": "广州市第三污水处理厂扩建工程",
    "bidder": {"name": "华南市政建设有限公司", "id": "91440101MA5CXXXX1K"},
    "beneficiary": {"name": "广州市公共资源交易中心", "id": "12440100MB2C00000A"},
    "amount": {"amount": "500000.00", "currency": "CNY"},
    "opening": "2099-11-30T09:30:00+08:00",
    "valid_until": "2099-12-31",
}


def install(home: Home, tenant: str) -> None:
    """The catalogue's kinds as the keymaster would have put them there."""
    catalogued = [one.read_bytes() for one in CATALOGUE.iterdir()]
    for text in [*catalogued, *(one.read_bytes() for one in OWN.glob("*.toml"))]:
        loaded = read_kind(text)
        directory = home.kinds / tenant / loaded.kind.id
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{loaded.kind.version}.toml").write_bytes(text)
