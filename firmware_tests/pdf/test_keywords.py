"""What a PDF says of its page beyond the event is read as it was written, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.pdf import Circumstances, PdfRefused
from appliance.pdf.keywords import circumstances_of, renderer_of, template_of, written_keywords

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), max_size=3)


@given(TEXTS, TEXTS, TEXTS, st.booleans(), NAMES)
def test_what_is_written_is_read(
    renderer: str, organisation: str, verify: str, rehearsal: bool, hidden: list[str]
) -> None:
    said = Circumstances(rules=7, organisation=organisation, verify=verify, rehearsal=rehearsal, hidden=hidden)
    written = ", ".join(written_keywords("ab" * 32, renderer, said))
    assert not set(written) & set("()\\<>")
    assert circumstances_of(b"(" + written.encode() + b")") == said
    assert template_of(written.encode()) == "ab" * 32
    assert renderer_of(written.encode()) == renderer_of(written.split(", organisation")[0].encode())


def test_a_page_of_no_event_says_nothing_more() -> None:
    assert circumstances_of(", ".join(written_keywords("ab" * 32, "zlib", None)).encode()) is None


def test_a_text_that_is_none_is_refused() -> None:
    said = Circumstances(rules=1, organisation="x", verify="", rehearsal=False)
    written = ", ".join(written_keywords("ab" * 32, "", said)).replace("organisation:x", "organisation:%FF")
    with pytest.raises(PdfRefused):
        circumstances_of(written.encode())
