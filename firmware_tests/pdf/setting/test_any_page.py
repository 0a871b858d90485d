"""Pages of all kinds: whoever sets them, everything that is on them can be read, and twice the same comes of it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.documents import NotRendered
from appliance.documents.letters import render_letter
from appliance.pdf import Column, LetterPage, Pair, Row, Section, Table
from firmware_tests.pdf.letters import bench_page, request_of
from firmware_tests.pdf.setting.pages import is_ours, run, text

USUAL = "江河湖海，。；：（）《》、！？“”ABCxyzfi0123456789 .,-/'()%&<>¥é"
UNUSUAL = "\u202e\u200f\u0007\u200bא한\u0301"


@st.composite
def tables(draw: st.DrawFn, text: st.SearchStrategy[str], pair: st.SearchStrategy[Pair]) -> Table:
    columns = draw(st.lists(st.builds(Column, pair, st.floats(0.5, 3), st.booleans()), min_size=1, max_size=4))
    row = st.lists(text, min_size=len(columns), max_size=len(columns))
    return Table(columns, draw(st.lists(row, max_size=30)), draw(st.just([]) | row), draw(st.none() | pair))


def pages(characters: str) -> st.SearchStrategy[LetterPage]:
    """Texts of a dozen characters mostly, sixty at most; a hundred characters apiece in paragraphs."""
    text = st.text(st.sampled_from(characters), max_size=60).map(str.strip)
    paragraph = st.text(st.sampled_from(characters), max_size=100).map(str.strip)
    pair = st.builds(Pair, text, text)
    paragraphs = st.lists(st.builds(Pair, paragraph, paragraph), max_size=3)
    rows = st.lists(st.builds(Row, pair, text | pair), max_size=12)
    return st.builds(
        LetterPage,
        title=st.just(Pair("保函", "Bond")), issuer=st.just(Pair("银行", "Bank")), number=st.just("N1"),
        date=st.just("2030-01-01"), kind=st.just("k 1"), digest=st.just("0" * 64), statement=paragraphs,
        sections=st.lists(st.builds(Section, rows, st.none() | pair), max_size=3),
        tables=st.lists(tables(text, pair), max_size=2), notes=paragraphs,
        seals=st.lists(pair, max_size=3), verify=st.just("https://v.example"), rehearsal=st.booleans(),
    )  # fmt: skip


@settings(max_examples=40)
@given(pages(USUAL))
def test_all_that_is_on_a_page_can_be_read(page: LetterPage) -> None:
    made = render_letter(request_of(page))
    assert render_letter(request_of(page)) == made
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        there = text(made, directory)
        assert "No syntax or stream encoding errors" in run("qpdf", "--check", directory / "page.pdf")
    hypothesis.target(float(is_ours(made)))
    # Lines of neighbouring columns come mixed: each character must be there as often as the page has it.
    wanted = Counter("".join("".join(_texts(page)).split()))
    assert not wanted - Counter(there)


@settings(max_examples=40)
@given(pages(USUAL + UNUSUAL))
def test_what_is_set_here_has_nothing_unusual(page: LetterPage) -> None:
    try:
        made = render_letter(request_of(page))
    except NotRendered:  # no font of the box has a character
        return
    assert not is_ours(made) or not set(UNUSUAL) & set("".join(_texts(page)))


def test_the_bench_pages_are_set_here() -> None:
    assert all(is_ours(render_letter(request_of(bench_page(seed), seed))) for seed in range(20))


def _texts(page: LetterPage) -> list[str]:
    found = []
    for pair in (*page.statement, *page.notes, *page.seals):
        found += [pair.zh, pair.en]
    for section in page.sections:
        for row in section.rows:
            found += [row.label.zh, row.label.en]
            found += [row.value] if isinstance(row.value, str) else [row.value.zh, row.value.en]
    for table in page.tables:
        found += [cell for row in (*table.rows, table.total) for cell in row]
    return found
