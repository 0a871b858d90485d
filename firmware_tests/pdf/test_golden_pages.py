"""Pages as they were set when their versions were told last: who changes what comes out tells another version.

A verifier sets pages again and accuses a box where one comes out otherwise. So letters that are out must come out as
they did, or say that another version set them. Where a digest below is another one, raise what its row names:

data      the page's data are others: PAGE_RULES in appliance/letters/page.py
set       the box's own setter sets them otherwise: SETTER in appliance/pdf/setting
typst     typst sets them otherwise, though its version and the template are the same: appliance.pdf.page.laid_out and
          appliance.documents.inert belong to the template, so its text has to change with them

Then write the file anew: `python -m firmware_tests.pdf.test_golden_pages`. It is of the fonts, zlib and typst that
Debian 12 and requirements.lock have; `creators` says which.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from appliance.documents import letters
from appliance.documents.contracts import RenderLetterRequest
from appliance.documents.letters import render_letter
from appliance.letters.event import Event, KindReference
from appliance.letters.kind import read_kind
from appliance.letters.page import PAGE_RULES, letter_page
from appliance.letters.state import follow
from appliance.pdf import LetterPage, read_rendering
from appliance.pdf.setting import SETTER, TEMPLATE
from firmware_tests.evidence.letters import event, opened_value
from firmware_tests.pdf.letters import bench_page

DIRECTORY: Final = Path(__file__).parent / "golden"
GOLDEN: Final = DIRECTORY / "pages.json"
BOND: Final[dict[str, Any]] = {
    "tender_code": "GD-2026-0412", "project": "广州市第三污水处理厂扩建工程", "valid_until": "2099-12-31",
    "bidder": {"name": "华南市政建设有限公司", "id": "91440101MA5CXXXX1K"},
    "beneficiary": {"name": "广州市公共资源交易中心", "id": "12440100MB2C00000A"},
    "amount": {"amount": "500000.00", "currency": "CNY"}, "opening": "2099-11-30T09:30:00+08:00",
}  # fmt: skip
SAMPLE: Final[dict[str, Any]] = {
    "number": "GD-17", "face": {"amount": "1234567.89", "currency": "CNY"}, "due": "2099-12-31", "grade": "a",
    "holder": {"name": "甲供应商", "id": "91440101"}, "seller": {"name": "乙供应商"}, "share": "0.25",
    "sellers": [{"id": "一"}, {"id": "two"}], "times": 3,
}  # fmt: skip
"""Of all types that a field has, in a zone of its own, with fields that are hidden and encrypted."""


def _of(name: str, one: Event, hidden: dict[str, str]) -> LetterPage:
    """Of a kind as it stands beside, so that the catalogue's may change."""
    kind = read_kind((DIRECTORY / f"{name}.toml").read_bytes())
    reference = KindReference(digest=kind.digest, id=kind.kind.id, version=kind.kind.version)
    one = msgspec.structs.replace(one, kind=reference)
    after = msgspec.structs.replace(follow(None, one), hidden=hidden)
    return letter_page(kind, after, one.event, after.head, "华南担保", verify="https://a.example/1", rehearsal=True)


def _pages() -> dict[str, LetterPage]:
    bond = event(None, "issue", fields=BOND, value=opened_value())
    sample = event(None, "draft", state="drafted", fields=SAMPLE, sealed={"price": "ab" * 32})
    return {
        "bond": _of("bond", bond, {}),
        "sample": _of("sample", sample, {"remark": "x"}),
        "bench": bench_page(1),
        "long": msgspec.structs.replace(bench_page(2), tables=bench_page(2).tables * 4),
    }


def _set(page: LetterPage, creator: bytes) -> bytes:
    return render_letter(
        RenderLetterRequest(
            data=page.json(), time_s=1_795_305_600, attachment=b"{}", qr=page.verify or None, creator=creator
        )
    )


def found() -> dict[str, Any]:
    """What stands in the file."""
    pages = _pages()
    with pytest.MonkeyPatch.context() as patched:
        # Whatever else is installed changes what a file tells of its making, and nothing that it shows.
        patched.setattr(letters, "_GROUND", "")
        patched.setattr(letters, "_typsts_ground", str)
        ours = {name: _set(page, b"") for name, page in pages.items()}
        typsts = {name: _set(page, b"(Typst ") for name, page in pages.items()}
    return {
        "page_rules": PAGE_RULES,
        "setter": SETTER,
        "template": TEMPLATE,
        "creators": [read_rendering(made["bench"]).creator.decode() for made in (ours, typsts)],
        "data": {name: _digest(page.json().encode()) for name, page in pages.items()},
        "set": {name: _digest(made) for name, made in ours.items()},
        "typst": {name: _digest(made) for name, made in typsts.items()},
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_pages_come_out_as_their_versions_did() -> None:
    assert found() == json.loads(GOLDEN.read_text()), "see this module"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(found(), indent=1) + "\n")
