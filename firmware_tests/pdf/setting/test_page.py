"""The box's own pages against typst's: the same words in the same places, and the same to the eye."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.documents import NotRendered
from appliance.documents.letters import render_letter, template_digest
from appliance.documents.rendering import TEMPLATES
from appliance.pdf import Column, LetterPage, Pair, Row, Section, Table
from appliance.pdf.setting import TEMPLATE
from firmware_tests.pdf.letters import bench_page, request_of
from firmware_tests.pdf.setting.pages import (
    blocks,
    is_ours,
    layout,
    run,
    run_pages,
    set_by_typst,
    set_here,
    text,
    words,
)

changed: Callable[..., Any] = msgspec.structs.replace
ZH = (
    "鉴于申请人（以下称“甲方”）拟参加贵方项目的投标，我行应其请求，在此不可撤销地承担下述保证责任："
    "金额为CNY 1,234.56；《合同》第3.2条、第4条。"
)
EN = (
    'Whereas the Applicant (hereinafter "the Applicant") intends to bid, we irrevocably undertake, at its well-known '
    "request."
)
_LONG = bench_page(3)
_TABLE = _LONG.tables[0]
_ONE = Pair("华南担保 Ltd", "华南担保 Ltd")
PAGES = {
    "bench": bench_page(1),
    "rehearsal": changed(bench_page(2), rehearsal=True),
    "nothing": changed(_LONG, statement=[], sections=[], tables=[], notes=[], seals=[]),
    "paragraphs": changed(_LONG, statement=[Pair(ZH * n, EN * n) for n in (1, 2, 3)], tables=[]),
    "titles": changed(
        _LONG,
        sections=[Section(_LONG.sections[0].rows[:4], Pair("当事人", "Parties")), Section(_LONG.sections[0].rows[4:7])],
        tables=[_TABLE, msgspec.structs.replace(_TABLE, title=None, rows=_TABLE.rows[:4])],
        notes=[],
    ),
    "values": changed(
        _LONG, sections=[Section([Row(Pair("甲", "A"), Pair(ZH, EN)), Row(Pair("乙方", EN), ZH + EN)])], tables=[]
    ),
    "empty tables": changed(
        _LONG, tables=[msgspec.structs.replace(_TABLE, rows=[], total=[]), msgspec.structs.replace(_TABLE, rows=[])]
    ),
    "three seals": changed(
        _LONG, seals=[Pair("某某国际工程集团股份有限公司（盖章）", "The Guarantor, Limited (seal)")] * 3
    ),
    "one name": changed(_LONG, issuer=_ONE, seals=[_ONE]),
    "200 rows": changed(_LONG, tables=[msgspec.structs.replace(_TABLE, rows=_TABLE.rows * 20)]),
    "narrow": changed(
        _LONG,
        sections=[],
        tables=[
            Table([Column(Pair("列", "Column"), number=n % 2 > 0) for n in range(12)], [["江河湖海", "1"] * 6] * 3)
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_same_words_stand_in_the_same_places(name: str, tmp_path: Path) -> None:
    ours, typsts = set_here(PAGES[name]), set_by_typst(PAGES[name])
    assert "".join(layout(ours, tmp_path)) == "".join(layout(typsts, tmp_path))
    theirs = words(typsts, tmp_path)
    # Ligatures, which the setter does not make, are half a point narrower than their letters. And where a run of text
    # ends, others see a word end: typst begins more runs.
    elsewhere = [
        word
        for word in words(ours, tmp_path)
        if not any(word[1:] == pytest.approx(other[1:], abs=1.5) for other in theirs if other.text == word.text)
    ]
    assert len(elsewhere) <= 0.02 * len(theirs), elsewhere


def test_a_name_that_is_the_same_in_both_languages_stands_once(tmp_path: Path) -> None:
    for made in (set_here(PAGES["one name"]), set_by_typst(PAGES["one name"])):
        assert text(made, tmp_path).count("华南担保") == 2  # whose letter it is, and below the seal
        assert run("pdfinfo", tmp_path / "page.pdf").count("华南担保") == 1


def test_the_closing_block_stands_at_the_foot_of_a_page_of_its_own(tmp_path: Path) -> None:
    """Where appliance.pdf.places has the seals, whoever sets it."""
    page = changed(PAGES["titles"], sections=PAGES["titles"].sections * 2)
    for made in (set_here(page), set_by_typst(page)):
        pages = run_pages(made, tmp_path)
        assert "Schedule" in pages[0]
        assert pages[-1].split()[0] == "扫码验真"
        (seal,) = [word for word in words(made, tmp_path) if word.text.startswith("担保人（")]
        assert seal.top > 700


@pytest.mark.parametrize("name", ["letter-1", "letter-2"])
def test_letters_of_older_templates_are_set_by_typst_from_those(name: str) -> None:
    digest = template_digest(TEMPLATES[name])
    made = render_letter(changed(request_of(PAGES["bench"]), template_digest=digest))
    assert b"template-sha256:" + digest.encode() in made
    assert not is_ours(made)


@pytest.mark.parametrize("name", ["bench", "rehearsal", "paragraphs", "values", "three seals", "one name"])
def test_to_the_eye_they_are_alike(name: str, tmp_path: Path) -> None:
    ours, typsts = blocks(set_here(PAGES[name]), tmp_path), blocks(set_by_typst(PAGES[name]), tmp_path)
    apart = [abs(a - b) for one, other in zip(ours, typsts, strict=True) for a, b in zip(one, other, strict=True)]
    assert max(apart) < 40
    assert sum(apart) / len(apart) < 0.6


def test_it_sets_the_template_that_the_box_has() -> None:
    """Whoever changes the template changes the setter with it, or letters take four times as long."""
    assert template_digest(TEMPLATES["letter"]) == TEMPLATE


@pytest.mark.parametrize(
    "value",
    [
        "CNY \u202e000,1", "a\u200bb", "x\u0007", "\ufeff", "\ufffd", "\u3164", "e\u0301", "한\u1100\u1161",
        "one\n\ntwo", "unbreakablewithoutend" * 2 + "x" * 3,
    ],
)  # fmt: skip
def test_what_it_does_not_know_is_set_by_typst(value: str) -> None:
    page = changed(bench_page(1), tables=[Table([Column(Pair("列", "Column"))] * 12, [[value] * 12])])
    try:
        typsts = set_by_typst(page)
    except NotRendered:  # no font of the box has the character
        with pytest.raises(NotRendered, match="could not be displayed"):
            render_letter(request_of(page))
    else:
        assert render_letter(request_of(page)) == typsts
        assert not is_ours(typsts)


@pytest.mark.parametrize(
    "page",
    [
        changed(bench_page(1), title=Pair("投标保函" * 9, "Bid Bond")),
        changed(bench_page(1), title=Pair("投标保函", "Bid Bond " * 30)),
        changed(bench_page(1), number="1" * 90),
        changed(bench_page(1), kind="k" * 200),
        changed(bench_page(1), verify=""),
        changed(bench_page(1), verify="https://example.cn/" * 9),
        changed(bench_page(1), statement=[Pair(ZH * 40, "")]),
        changed(bench_page(1), sections=[Section(bench_page(1).sections[0].rows, Pair("标题" * 40, "Title"))]),
        changed(bench_page(1), seals=[Pair("章", "S" * 44)]),
    ],
)
def test_what_does_not_fit_is_set_by_typst(page: LetterPage) -> None:
    assert not is_ours(render_letter(request_of(page)))


def test_long_words_break_and_are_read_whole(tmp_path: Path) -> None:
    digest = "0123456789abcdef" * 12
    page = changed(bench_page(1), sections=[Section([Row(Pair("摘要", "Digest"), digest)])])
    assert digest in text(set_here(page), tmp_path)


def test_others_read_it(tmp_path: Path) -> None:
    file = tmp_path / "letter.pdf"
    file.write_bytes(set_here(PAGES["200 rows"]))
    assert "No syntax or stream encoding errors found" in run("qpdf", "--check", file)
    assert "Pages:           5" in run("pdfinfo", file)
    fonts = run("pdffonts", file).splitlines()[2:]
    assert len(fonts) == 2
    assert all("CID Type 0C       Identity-H       yes yes yes" in line for line in fonts)
    said = run(
        "gs", "-q", "-dNOPAUSE", "-dBATCH", "-dPDFSTOPONERROR", "-dPDFSTOPONWARNING", "-sDEVICE=nullpage", file
    )  # fmt: skip
    assert not said.strip()
