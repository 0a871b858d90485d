"""A letter that we rendered is held to its attached JSON."""

from __future__ import annotations

import contextlib
import re
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.documents.letters import render_letter
from appliance.pdf import PdfRefused, Rendering, Sameness, read_rendering, same_letter
from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import write
from appliance.pdf.update import Update, stream
from firmware_tests.pdf.letters import bench_page, request_of
from firmware_tests.pdf.sealed import Institution, Levels, covered, letter


def render(said: Rendering) -> bytes:
    """As the verifier does: data by the kind's rules (here: the bench page), the rest as recorded."""
    request = request_of(bench_page(1), 1)
    assert said.attachment == request.attachment
    return render_letter(
        msgspec.structs.replace(request, time_s=said.time_s, template_digest=said.template_digest, creator=said.creator)
    )


def test_sealed_letters_are_the_same_in_every_level(levels: Levels) -> None:
    for name, content in {"bare": letter(), **levels.files}.items():
        assert same_letter(content, render) is Sameness.SAME, name


def test_another_amount_on_the_page_is_found(institution: Institution) -> None:
    """The page says one thing, the attached JSON another; the seal is as good as any."""
    page = bench_page(1)
    value = page.sections[0].rows[3].value
    assert isinstance(value, str)
    forged = render_letter(
        msgspec.structs.replace(request_of(page, 1), data=page.json().replace(value, "CNY 999,999,999.99"))
    )
    assert same_letter(institution.seal(forged), render) is Sameness.DIFFERS


def test_what_typst_set_is_set_by_typst_again(institution: Institution) -> None:
    made = render_letter(msgspec.structs.replace(request_of(bench_page(1), 1), creator=b"(Typst "))
    assert read_rendering(made).creator.startswith(b"(Typst 0.")
    assert read_rendering(letter()).creator.startswith(b"(Cinnabar letter setter ")
    assert same_letter(institution.seal(made), render) is Sameness.SAME


def test_another_version_of_the_renderer_is_told() -> None:
    typsts = render_letter(msgspec.structs.replace(request_of(bench_page(1), 1), creator=b"(Typst "))
    assert same_letter(typsts.replace(b"(Typst 0.", b"(Typst 9."), render) is Sameness.OTHER_RENDERER
    assert same_letter(letter().replace(b"setter 2,", b"setter 1,"), render) is Sameness.OTHER_RENDERER


def test_an_overlay_after_the_seal_is_found(institution: Institution) -> None:
    assert same_letter(covered(institution.seal(letter())), render) is Sameness.ADDED


@pytest.mark.parametrize(
    "annotation",
    [
        b"<</Type/Annot/Subtype/FreeText/Rect[0 0 0 0]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Sig/Rect[50 400 500 700]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/Rect[0 0 0 0]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Sig/Rect[500 800 -400 -100]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Sig/Rect[0 0 0 0]/AA<</PO<</S/JavaScript/JS()>>>>>>",
    ],
)
def test_what_is_no_seal_or_stands_elsewhere_is_found(annotation: bytes) -> None:
    source = Pdf(letter())
    update = Update(source)
    (number,) = source.pages()
    page = source.members(number)
    page[b"/Annots"] = b"[%d 0 R]" % update.add(annotation)
    update.put(number, write(page))
    assert same_letter(update.written(b"")[0], render) is Sameness.ADDED


def revised(text: bytes, table: bytes, pdf: bytes | None = None, more: bytes = b"") -> bytes:
    """Another revision: what stands in it, its table's lines, and further members of its trailer."""
    pdf = pdf or letter()
    source = Pdf(pdf)
    pdf += b"" if pdf.endswith(b"\n") else b"\n"
    trailer = source.trailer | {b"/Size": b"%d" % (source.size + 2), b"/Prev": b"%d" % source.last_table}
    end = b"trailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (write(trailer)[:-2] + more + b">>", len(pdf + text))
    return pdf + text + b"xref\n" + table + end


def other_page() -> bytes:
    """Of the page's own number, with other content, as objects that no table leads to."""
    source = Pdf(letter())
    (number,) = source.pages()
    page = source.members(number) | {b"/Contents": b"%d 0 R" % source.size}
    content = stream({}, b"1 0 0 rg 0 0 600 800 re f")
    return b"%d 0 obj\n%b\nendobj\n%d 0 obj\n%b\nendobj\n" % (source.size, content, number, write(page))


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (other_page(), b"0 0\n"),
        (other_page(), b"9999 1\nbroken for readers \n"),
        (re.sub(rb"(\d+) 0 obj", rb"\1 %so\n 7 %x\robj", other_page()), b"0 0\n"),
        (b"trailer <</Root 9999 0 R>>\n", b"0 0\n"),
        (b"9999 0 obj <</Type/#4fbjStm>> endobj\n", b"0 0\n"),
    ],
    ids=["beside the table", "a broken table", "disguised", "another catalogue", "packed objects"],
)
def test_what_only_a_reader_that_repairs_would_show_is_found(text: bytes, table: bytes) -> None:
    assert same_letter(revised(b"", b"0 0\n"), render) is Sameness.SAME
    assert same_letter(revised(text, table), render) is Sameness.ADDED


@pytest.mark.parametrize("dull", [b"1 %", b"%1\n", b"1 ", b"1111111111", b" " * 9 + b"1", b"trailer<<", b"/#4f#4f"])
def test_what_is_added_is_looked_through_once(dull: bytes) -> None:
    begun = time.process_time()
    same_letter(revised(dull * (400_000 // len(dull)), b"0 0\n"), render)
    assert time.process_time() - begun < 5


def test_a_second_table_in_an_older_revision_is_refused() -> None:
    """Readers go by it, and by the newest trailer alone it is not to be seen."""
    hybrid = revised(other_page(), b"0 0\n", more=b"/XRefStm 9")
    with pytest.raises(PdfRefused, match="XRefStm"):
        same_letter(revised(b"", b"0 0\n", hybrid), render)


def test_a_form_in_place_of_the_pages_and_fewer_objects_than_there_were_are_found() -> None:
    source = Pdf(letter())
    update = Update(source)
    update.put(source.root, write(source.members(source.root) | {b"/AcroForm": b"<</Fields[]/XFA(form)>>"}))
    assert same_letter(update.written(b"")[0], render) is Sameness.ADDED
    size = b"/Size %d" % (source.size + 2)
    assert same_letter(revised(b"", b"0 0\n").replace(size, b"/Size 4"), render) is Sameness.ADDED


@settings(max_examples=200)
@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_broken_pdf_is_refused_or_differs_never_a_crash(at: int, put: bytes, near_end: bool) -> None:
    whole = letter()
    at = len(whole) - 1 - at % 5_000 if near_end else at % len(whole)
    broken = whole[:at] + put + whole[at + len(put) :]
    with contextlib.suppress(PdfRefused):
        assert same_letter(broken, lambda _: whole) is not Sameness.SAME or broken.strip() == whole.strip()


def test_a_pdf_of_others_is_not_compared() -> None:
    with pytest.raises(PdfRefused, match="from which template"):
        read_rendering(letter().replace(b"template-sha256:", b"template-md5---:"))
    for when in (b"19600101000000", b"20261399000000"):
        with pytest.raises(PdfRefused, match="time of making"):
            read_rendering(re.sub(rb"/CreationDate \(D:\d{14}Z\)", b"/CreationDate (D:%bZ)" % when, letter()))
    with pytest.raises(PdfRefused):
        same_letter(b"%PDF-1.7\n%%EOF", render)
