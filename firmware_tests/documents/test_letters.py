"""Letters as PDF/A-3: what is on the page, what is inside, what cannot get in."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import msgspec
import pytest

from appliance.documents import RENDER_LETTER, DocumentTooCostly, NotRendered, RenderLetterRequest
from appliance.documents.contracts import SealPictureRequest
from appliance.documents.letters import render_letter, template_digest
from appliance.documents.pictures import render_picture
from appliance.documents.rendering import TEMPLATES
from appliance.pdf import PageRefused, Pair, PdfRefused, Row, Section
from firmware_tests.documents.test_limits import ask
from firmware_tests.pdf.letters import TIME_S, bench_page, request_of
from firmware_tests.pdf.sealed import SVG


def run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=60).stdout


def of_template(source: str, **changed: object) -> RenderLetterRequest:
    given: dict[str, object] = {
        "data": '{"text": "Bond 保函"}', "time_s": TIME_S, "attachment": b"{}", "template_source": source.encode(),
        "template_digest": template_digest(source.encode()), **changed,
    }  # fmt: skip
    return RenderLetterRequest(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=[b"", b"(Typst "], ids=["set here", "typst"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("letter") / "letter.pdf"
    file.write_bytes(render_letter(request_of(bench_page(1), 1, creator=request.param)))
    return file


def test_the_page_says_everything_in_both_languages(bench: Path) -> None:
    page, text = bench_page(1), "".join(run("pdftotext", "-layout", bench, "-").split())
    told = [page.title, page.issuer, *page.statement, *page.notes, *page.seals]
    told += [row.label for row in page.sections[0].rows]
    told += [row.value for row in page.sections[0].rows if isinstance(row.value, Pair)]
    for pair in told:
        assert "".join(pair.en.split())[:40] in text, pair
        assert pair.zh[:14] in text, pair
    for plain in [page.number, page.digest, *(cell for row in page.tables[0].rows for cell in row)]:
        assert "".join(plain.split()) in text
    assert "1/1" in text


def test_it_says_that_it_is_pdf_a_3_and_has_the_letter_inside(bench: Path, tmp_path: Path) -> None:
    content = bench.read_bytes()
    assert b"<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in content
    assert b"/AFRelationship/Source" in content.replace(b" /", b"/")
    run("pdfdetach", "-saveall", "-o", tmp_path, bench)
    assert (tmp_path / "letter.json").read_bytes() == request_of(bench_page(1), 1).attachment
    fonts = run("pdffonts", bench).splitlines()[2:]
    assert fonts
    assert all(" yes yes yes " in line for line in fonts), "embedded, subset, with Unicode"
    assert "No syntax" in run("qpdf", "--check", bench)


def test_the_code_is_read_by_others(bench: Path, tmp_path: Path) -> None:
    run("pdftoppm", "-r", 150, "-png", bench, tmp_path / "page")
    (image,) = tmp_path.glob("*.png")
    assert run("zbarimg", "--quiet", "--raw", image).strip() == request_of(bench_page(1), 1).qr


def test_equal_requests_give_equal_bytes_and_others_do_not() -> None:
    asked = request_of(bench_page(2), 2)
    made = render_letter(asked)
    assert made == render_letter(asked)
    assert made != render_letter(msgspec.structs.replace(asked, time_s=asked.time_s + 1))
    assert template_digest(TEMPLATES["letter"]).encode() in made


def test_an_older_version_of_the_template_is_found_by_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = request_of(bench_page(2), 2)
    then = render_letter(asked)
    old = TEMPLATES["letter"]
    monkeypatch.setitem(TEMPLATES, "letter-0", old)
    monkeypatch.setitem(TEMPLATES, "letter", old.replace(b"margin: (x: 20mm", b"margin: (x: 25mm"))
    assert render_letter(asked) != then
    assert render_letter(msgspec.structs.replace(asked, template_digest=template_digest(old))) == then


def test_many_pages_have_numbers_and_the_seals_on_the_last(tmp_path: Path) -> None:
    page = bench_page(3)
    table = msgspec.structs.replace(page.tables[0], rows=page.tables[0].rows * 12)
    (tmp_path / "long.pdf").write_bytes(render_letter(request_of(msgspec.structs.replace(page, tables=[table]))))
    pages = run("pdftotext", "-layout", tmp_path / "long.pdf", "-").split("\f")[:-1]
    assert len(pages) > 2
    assert [f"{number + 1}/{len(pages)}" in "".join(text.split()) for number, text in enumerate(pages)] == [True] * len(
        pages
    )
    assert ["Guarantor (seal)" in text for text in pages] == [False] * (len(pages) - 1) + [True]


def test_markup_and_hidden_characters_are_text(tmp_path: Path) -> None:
    hostile = '#panic("x") $x$ *b* \\u{1F600} // /* #import "@preview/a:1.0.0" </a>'
    hidden = "CNY \u202e000,1\u202c \u2066x\u0007\u200b\u00adend"
    rows = [Row(Pair("甲", hostile), hidden), Row(Pair("乙", "B"), Pair(hostile, hidden))]
    page = msgspec.structs.replace(bench_page(1), sections=[Section(rows)])
    (tmp_path / "hostile.pdf").write_bytes(render_letter(request_of(page)))
    text = run("pdftotext", "-raw", tmp_path / "hostile.pdf", "-")
    squeezed = "".join(text.split())
    assert squeezed.count("".join(hostile.split())) == 2
    assert "CNY[U+202E]000,1[U+202C][U+2066]x[U+0007][U+200B][U+00AD]end" in squeezed
    assert not set("\u202e\u202c\u2066\u0007\u00ad") & set(text)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("{", "not a letter's page"),
        ('{"title": "x"}', r"\$\.title"),
        (bench_page(1).json().replace('"number":', '"nummer":', 1), "nummer"),
        (bench_page(1).json().replace('"total":["', '"total":["x","', 1), "5 cells for 4 columns"),
    ],
)
def test_data_that_are_no_page_name_the_member(data: str, says: str) -> None:
    with pytest.raises(PageRefused, match=says):
        render_letter(msgspec.structs.replace(request_of(bench_page(1)), data=data))


def test_a_tenants_template_is_known_by_its_digest(tmp_path: Path) -> None:
    source = '#set text(font: "Noto Serif CJK SC")\n#let d = json(bytes(sys.inputs.data))\n= #d.text'
    (tmp_path / "own.pdf").write_bytes(render_letter(of_template(source)))
    assert run("pdftotext", tmp_path / "own.pdf", "-").split() == ["Bond", "保函"]
    for digest in ("", "0" * 64, hashlib.sha256(b"").hexdigest()):
        with pytest.raises(NotRendered, match="template"):
            render_letter(of_template(source, template_digest=digest))
    with pytest.raises(NotRendered, match="template"):
        render_letter(msgspec.structs.replace(request_of(bench_page(1)), template_digest="0" * 64))


@pytest.mark.parametrize(
    "source",
    [
        '#import "@preview/cetz:0.2.0"',
        '#read("/etc/passwd")',
        '#read("letter.typ")',
        '#image("/usr/share/pixmaps/debian-logo.png")',
        '#include "other.typ"',
        "#while true {}",
        "#let f(n) = f(n + 1); #f(0)",
        "#unknown",
    ],
)
def test_a_template_reaches_nothing_outside(source: str) -> None:
    with pytest.raises(NotRendered):
        render_letter(of_template(source))


@pytest.mark.parametrize("image", [SVG, None])
def test_a_seals_picture_is_svg_or_png(image: bytes | None, tmp_path: Path) -> None:
    if image is None:
        (tmp_path / "seal.svg").write_bytes(SVG)
        (tmp_path / "p.pdf").write_bytes(render_letter(of_template("#box(fill: red, width: 9mm, height: 9mm)")))
        run("pdftoppm", "-r", 40, "-png", "-singlefile", tmp_path / "p.pdf", tmp_path / "p")
        image = (tmp_path / "p.png").read_bytes()
    made = render_picture(SealPictureRequest(image=image, side_mm=40))
    assert made.width == pytest.approx(40 * 72 / 25.4, abs=0.01)
    assert made.objects


@pytest.mark.parametrize(
    "image",
    [
        b"", b"GIF89a", b"<svg", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\6\0\0\0    ",
        SVG.replace(b"<circle", b'<image href="/etc/passwd"/><circle'),
        SVG.replace(b"<circle", b"<script>1</script><circle"),
        SVG.replace(b"<circle", b'<use xlink:href="http://a/"/><circle'),
        b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG,
    ],
)  # fmt: skip
def test_a_picture_that_is_none_or_more_is_refused(image: bytes) -> None:
    with pytest.raises((NotRendered, PdfRefused)):
        render_picture(SealPictureRequest(image=image))


ENDLESS = "#for i in range(100000) { for j in range(100000) { let x = i * j } }"


def test_in_the_workers_letters_are_set_and_an_endless_template_ends(keeper) -> None:
    """One tenant's letters by one worker, another's by another; after an excess all goes on."""
    running = keeper(memory_mb=768, wall_seconds=20.0, cpu_seconds=4)
    asked = [request_of(bench_page(seed), seed) for seed in (1, 2, 1)]
    made = ask(running, *asked, contract=RENDER_LETTER)
    assert made == [render_letter(one) for one in asked]
    before = set(running.children())
    assert ask(running, asked[1], contract=RENDER_LETTER) == [made[1]]
    assert set(running.children()) == before, "the same worker goes on"
    assert ask(running, asked[1], contract=RENDER_LETTER, tenant="other") == [made[1]]
    (error,) = ask(running, of_template(ENDLESS), contract=RENDER_LETTER)
    assert isinstance(error, DocumentTooCostly), error
    assert ask(running, asked[0], contract=RENDER_LETTER) == [made[0]]
    (refused,) = ask(running, of_template("#unknown"), contract=RENDER_LETTER)
    assert isinstance(refused, NotRendered)


def test_a_worker_of_one_tenants_letters_never_serves_another(keeper) -> None:
    running = keeper(memory_mb=768, wall_seconds=20.0, cpu_seconds=10, workers=1)
    asked = request_of(bench_page(1), 1)
    seen = set()
    for tenant in ("a", "b", "a"):
        ask(running, asked, contract=RENDER_LETTER, tenant=tenant)
        (child,) = running.children()
        assert child not in seen
        seen.add(child)
