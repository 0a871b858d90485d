"""PDFs that others made: what is refused, what is told, and that a seal on them holds."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from appliance.documents import PREPARE_PDF, DocumentTooCostly, PreparedForeign, PreparePdfRequest
from appliance.documents.contracts import ProlongPdfRequest
from appliance.documents.foreign import _seal_field as seal_field
from appliance.documents.foreign import prepare_foreign
from appliance.documents.holes import free_name
from appliance.documents.prolonging import prolong
from appliance.pdf import TOKEN_BYTES, Hole, PdfRefused, Place, ValidationData, prepare_foreign_seal, room_for
from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import write
from appliance.pdf.update import Update, stream
from firmware_tests.documents.test_limits import ask
from firmware_tests.others.openssl_tsa import OpenSslTsa
from firmware_tests.others.pyhanko_validation import validate
from firmware_tests.pdf.sealed import Institution, letter, picture
from firmware_tests.seals.sealing import NOW, NOW_US

NAME = generic.pdf_name
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<<>>%b>>"


def plain(catalogue: bytes = b"", page: bytes = b"", *further: bytes) -> bytes:
    """A PDF of one page, by hand; `further` objects are numbered from 5."""
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R%b>>" % catalogue,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        PAGE % page,
        stream({}, b"0 0 1 rg 10 10 50 50 re f"),
        *further,
    ]
    made, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    lines = b"".join(b"%010d 00000 n \n" % at for at in offsets)
    count = len(bodies) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R>>\n" % (count, lines, count)
    return made + table + b"startxref\n%d\n%%%%EOF\n" % len(made)


def looping(pdf: bytes) -> bytes:
    """Its cross-reference table names itself as the one before."""
    at = pdf.rindex(b"startxref\n") + len(b"startxref\n")
    return pdf.replace(b"/Root 1 0 R>>", b"/Root 1 0 R/Prev %b>>" % pdf[at:].split(b"\n")[0])


def asked(pdf: bytes) -> PreparePdfRequest:
    return PreparePdfRequest(pdf=pdf, time_s=NOW, room=9000, name="担保人 Guarantor")


@pytest.fixture(scope="module")
def one() -> Institution:
    return Institution()


def seal(one: Institution, pdf: bytes, tsa: OpenSslTsa | None = None) -> bytes:
    made = prepare_foreign(PreparePdfRequest(pdf=pdf, time_s=NOW, room=room_for(one.profile)))
    prepared = prepare_foreign_seal(pdf, made.added, made.after, made.room, one.profile, NOW_US)
    signature = one.sealer.sign(prepared.to_be_signed)
    return prepared.complete(signature, None if tsa is None else tsa.token(one.sealer.digest(signature)))


def _qpdf(tmp_path: Path, *options: str) -> bytes:
    (tmp_path / "in.pdf").write_bytes(letter())
    subprocess.run(["qpdf", *options, tmp_path / "in.pdf", tmp_path / "out.pdf"], check=True, timeout=60)
    return (tmp_path / "out.pdf").read_bytes()


def test_seals_on_pdfs_of_others_hold(one: Institution, tmp_path: Path) -> None:
    roots = [one.authority.certificate.public_bytes(Encoding.DER)]
    for pdf in (plain(), _qpdf(tmp_path, "--object-streams=generate"), _qpdf(tmp_path, "--linearize"), letter()):
        sealed = seal(one, pdf)
        assert sealed.startswith(pdf)
        (verdict,) = validate(sealed, roots)
        assert verdict.bottom_line
        (tmp_path / "sealed.pdf").write_bytes(sealed)
        told = subprocess.run(
            ["pdfsig", "-nocert", tmp_path / "sealed.pdf"], check=True, capture_output=True, text=True, timeout=60
        ).stdout
        assert "Signature is Valid" in told
        assert "Total document signed" in told


def test_a_seal_may_be_seen_on_any_pdf(one: Institution, tmp_path: Path) -> None:
    roots = [one.authority.certificate.public_bytes(Encoding.DER)]
    place = Place(0, 120, 10, 190, 80)
    for pdf in (plain(), _qpdf(tmp_path, "--object-streams=generate")):
        asked_for = PreparePdfRequest(
            pdf=pdf, time_s=NOW, room=room_for(one.profile), place=place, picture=picture()
        )  # fmt: skip
        made = prepare_foreign(asked_for)
        prepared = prepare_foreign_seal(pdf, made.added, made.after, made.room, one.profile, NOW_US)
        sealed = prepared.complete(one.sealer.sign(prepared.to_be_signed))
        assert validate(sealed, roots)[0].bottom_line
        (tmp_path / "seen.pdf").write_bytes(sealed)
        subprocess.run(["qpdf", "--check", tmp_path / "seen.pdf"], check=True, capture_output=True, timeout=60)
        subprocess.run(
            ["pdftoppm", "-r", "72", "-singlefile", tmp_path / "seen.pdf", tmp_path / "seen"], check=True, timeout=60
        )
        assert b"\xc8\x20\x1c" in (tmp_path / "seen.ppm").read_bytes(), "the red of the seal"
    with pytest.raises(PdfRefused, match="place"):
        prepare_foreign(PreparePdfRequest(pdf=plain(), time_s=NOW, room=9000, place=place))
    with pytest.raises(PdfRefused):
        prepare_foreign(msgspec.structs.replace(asked_for, pdf=plain(), place=Place(7, 0, 0, 9, 9)))


def test_a_further_seal_on_a_sealed_pdf(one: Institution) -> None:
    two = Institution(subject="Other")
    sealed = seal(two, seal(one, plain()))
    roots = [each.authority.certificate.public_bytes(Encoding.DER) for each in (one, two)]
    assert [verdict.bottom_line for verdict in validate(sealed, roots)] == [True, True]
    assert prepare_foreign(asked(sealed)).findings == ["signed"]


def test_who_sealed_and_what_was_first_sealed_are_told(one: Institution) -> None:
    first, two = plain(), Institution(subject="Other")
    once = seal(one, first)
    made = prepare_foreign(asked(seal(two, once)))
    assert made.signers == [each.profile.certificates[0] for each in (one, two)]
    assert first in {once[:end] for end in made.first_ends}
    unsigned = prepare_foreign(asked(first))
    assert (unsigned.signers, unsigned.first_ends) == ([], [])


@pytest.mark.parametrize("options", [(), ("--object-streams=generate",)])
def test_seals_on_pdfs_of_others_are_made_to_last(
    one: Institution, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("lasting")
    tsa = OpenSslTsa(tmp_path)
    sealed = seal(one, _qpdf(tmp_path, *options) if options else plain(), tsa)
    certificates = [*one.profile.certificates, tsa.certificate.public_bytes(Encoding.DER)]
    data = ValidationData(certificates=certificates, crls=[one.crl()])
    lt = sealed + prolong(ProlongPdfRequest(pdf=sealed, data=data)).added
    made = prolong(ProlongPdfRequest(pdf=sealed, data=data, room=TOKEN_BYTES))
    hole = Hole(sealed + made.added, made.after, TOKEN_BYTES)
    lta = hole.filled(tsa.token(hashlib.sha256(hole.signed).digest()))
    roots = [certificates[1], certificates[2]]
    for whole, count in ((lt, 1), (lta, 2)):
        assert whole.startswith(sealed)
        verdicts = validate(whole, roots)
        assert [verdict.bottom_line for verdict in verdicts] == [True] * count, verdicts
        (tmp_path / "last.pdf").write_bytes(whole)
        subprocess.run(["qpdf", "--check", tmp_path / "last.pdf"], check=True, capture_output=True, timeout=60)
    again = seal(Institution(subject="Later"), lta)
    assert again.startswith(lta)


LAYER = b"/OCProperties<</OCGs[5 0 R]/D<<%b>>>>"
GROUP = b"<</Type/OCG/Name(a)>>"


@pytest.mark.parametrize(
    ("pdf", "says"),
    [
        (plain(b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>"), "script|action"),
        (plain(b"/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(1)>>]>>>>"), "script"),
        (plain(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next<</S/Launch/F(a)>>>>"), "begins"),
        (plain(b"", b"/AA<</O<</S/URI/URI(http://a)>>>>"), "begin of themselves"),
        (plain(b"", b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/Launch/F(a)>>>>]"), "/Launch"),
        (plain(b"", b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/SubmitForm/F(a)>>>>]"), "/SubmitForm"),
        (plain(b"", b"/Annots[5 0 R]", b"<</Type/Annot/Subtype/Screen/Rect[0 0 9 9]>>"), "/Screen"),
        (plain(b"", b"/Annots[5 0 R]", b"<</Type/Annot/Subtype 6 0 R/Rect[0 0 9 9]>>", b"/Screen"), "/Screen"),
        (
            plain(
                b"", b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A 5 0 R>>]", b"<</S 6 0 R/F(a)>>", b"/Launch"
            ),
            "/Launch",
        ),
        (plain(b"/OCProperties<</OCGs[5 0 R]/D 6 0 R>>", b"", GROUP, b"<</OFF 7 0 R>>", b"[5 0 R]"), "hidden"),
        (plain(b"/AcroForm<</Fields[]/XFA(x)>>"), "XFA"),
        (plain(LAYER % b"/OFF[5 0 R]", b"", GROUP), "hidden"),
        (plain(LAYER % b"/BaseState/OFF", b"", GROUP), "hidden"),
        (plain(LAYER % b"/AS[<</Event/Print/OCGs[5 0 R]>>]", b"", GROUP), "circumstances"),
        (
            plain(b"", b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(a)/Next<</S/Hide/T(a)>>>>>>]"),
            "/Hide",
        ),
        (looping(plain()), "read"),
        (plain()[:-30], "read"),
        (b"no PDF", "read"),
        (b"", "read"),
    ],
)
def test_what_acts_or_hides_is_refused(pdf: bytes, says: str) -> None:
    with pytest.raises(PdfRefused, match=says):
        prepare_foreign(asked(pdf))


def test_encryption_is_refused(tmp_path: Path) -> None:
    for length in ("128", "256"):
        with pytest.raises(PdfRefused):
            prepare_foreign(asked(_qpdf(tmp_path, "--allow-weak-crypto", "--encrypt", "", "owner", length, "--")))


@pytest.mark.parametrize(
    ("pdf", "remark"),
    [
        (plain(), []),
        (plain(b"/OpenAction[3 0 R/Fit]"), []),
        (plain(LAYER % b"", b"", GROUP), ["layers"]),
        (plain(b"", b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(http://a)>>>>]"), ["links"]),
        (letter(), ["attachments"]),
        (plain(b"", b"/Annots[<</Type/Annot/Subtype/FreeText/Rect[0 0 9 9]/F 2>>]"), ["hidden-annotations"]),
        (
            plain(
                b"/AcroForm<</Fields[5 0 R]>>",
                b"/Annots[5 0 R]",
                b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(b)/F 34/Rect[0 0 9 9]>>",
            ),
            ["form-fields", "hidden-annotations"],
        ),
    ],
)
def test_what_may_be_accepted_is_told(pdf: bytes, remark: list[str]) -> None:
    assert prepare_foreign(asked(pdf)).findings == remark


def test_revisions_of_an_unsigned_pdf_are_told() -> None:
    assert prepare_foreign(asked(covered(plain()))).findings == ["earlier-revisions"]


def covered(pdf: bytes) -> bytes:
    """An update that draws over the page."""
    source = Pdf(pdf)
    update = Update(source)
    (number,) = source.pages()
    page = source.members(number)
    page[b"/Contents"] = b"[" + page[b"/Contents"] + b" %d 0 R]" % update.add(stream({}, b"1 g 0 0 600 800 re f"))
    update.put(number, write(page))
    return update.written(b"")[0]


def test_changes_after_a_signature_are_refused(one: Institution) -> None:
    sealed = seal(one, plain())
    with pytest.raises(PdfRefused, match="changed after its signature"):
        prepare_foreign(asked(covered(sealed)))
    broken = bytearray(sealed)
    broken[broken.index(b"0 0 1 rg")] = ord("1")
    with pytest.raises(PdfRefused, match="does not hold"):
        prepare_foreign(asked(bytes(broken)))


def test_a_signature_that_leaves_parts_out_is_refused(one: Institution) -> None:
    sealed = seal(one, plain())
    start = sealed.index(b"/ByteRange")
    end = sealed.index(b"]", start)
    numbers = [int(number) for number in sealed[start + len(b"/ByteRange") : end].strip(b" [").split()]
    shorter = b"/ByteRange [0 %d %d %d" % (numbers[1], numbers[2] + 40, numbers[3] - 40)
    with pytest.raises(PdfRefused):
        prepare_foreign(asked(sealed[:start] + shorter.ljust(end - start) + sealed[end:]))


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=6))
def test_a_broken_pdf_is_refused_or_prepared(at: int, put: bytes) -> None:
    whole = plain(LAYER % b"", b"", GROUP)
    at %= len(whole)
    pdf = whole[:at] + put + whole[at + len(put) :]
    with contextlib.suppress(PdfRefused):
        assert prepare_foreign(asked(pdf)).room == 9000


def bomb(megabytes: int) -> bytes:
    """Its cross-reference stream is a thousandth of what it unpacks to."""
    packing = zlib.compressobj(9)
    packed = b"".join([*(packing.compress(bytes(1 << 20)) for _ in range(megabytes)), packing.flush()])
    head = b"%PDF-1.7\n"
    members = {b"/Type": b"/XRef", b"/Size": b"2", b"/W": b"[1 2 1]", b"/Root": b"1 0 R", b"/Filter": b"/FlateDecode"}
    return head + b"2 0 obj\n" + stream(members, packed) + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % len(head)


def test_a_bomb_ends_at_the_workers_limits(keeper) -> None:
    running = keeper(memory_mb=256, wall_seconds=20.0, cpu_seconds=10, loads=True)
    (error,) = ask(running, asked(bomb(300)), contract=PREPARE_PDF)
    assert isinstance(error, PdfRefused | DocumentTooCostly), error
    (made,) = ask(running, asked(plain()), contract=PREPARE_PDF)
    assert isinstance(made, PreparedForeign), "the next one meets a sound worker"


def test_it_runs_in_a_worker(keeper) -> None:
    running = keeper(memory_mb=512, wall_seconds=20.0, cpu_seconds=10, loads=True)
    (made,) = ask(running, asked(plain()), contract=PREPARE_PDF)
    assert isinstance(made, PreparedForeign), made
    assert made.findings == []
    assert b"/ETSI.CAdES.detached" in made.after
    (error,) = ask(running, asked(plain(b"/OpenAction<</S/JavaScript/JS(1)>>")), contract=PREPARE_PDF)
    assert isinstance(error, PdfRefused)


FORM = (
    b"/AcroForm<</Fields[5 0 R]>>",
    b"/Annots[5 0 R]",
    b"<</Type/Annot/Subtype/Widget/FT/Tx/T(amount)/V(1)/Rect[0 0 9 9]>>",
)


def draw_over(writer: IncrementalPdfFileWriter) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    page[NAME("/Contents")] = writer.add_object(generic.StreamObject(stream_data=b"1 0 0 rg 0 0 200 100 re f"))
    writer.update_container(page)


def draw_otherwise(writer: IncrementalPdfFileWriter) -> None:
    content = writer.root["/Pages"]["/Kids"][0]["/Contents"]
    content._data, content._encoded_data = b"1 0 0 rg 10 10 50 50 re f", None
    writer.update_container(content)


def annotate(writer: IncrementalPdfFileWriter) -> None:
    note = {"/Type": "/Annot", "/Subtype": "/FreeText"}
    made = generic.DictionaryObject({NAME(name): NAME(value) for name, value in note.items()})
    made[NAME("/Rect")] = generic.ArrayObject(map(generic.NumberObject, (0, 0, 90, 90)))
    writer.register_annotation(writer.root["/Pages"]["/Kids"].raw_get(0), writer.add_object(made))


def fill_in(writer: IncrementalPdfFileWriter) -> None:
    field = writer.root["/AcroForm"]["/Fields"][0]
    field[NAME("/V")] = generic.TextStringObject("1000000")
    writer.update_container(field)


def sealed_with(one: Institution, pdf: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    """A seal whose own revision brings a change with it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    change(writer)
    request = PreparePdfRequest(pdf=pdf, time_s=NOW, room=room_for(one.profile))
    before, after = seal_field(request, writer, free_name(writer, "Seal"))
    prepared = prepare_foreign_seal(pdf, before[len(pdf) :], after, request.room, one.profile, NOW_US)
    return prepared.complete(one.sealer.sign(prepared.to_be_signed))


@pytest.mark.parametrize(
    ("pdf", "change"),
    [(plain(), draw_over), (plain(), draw_otherwise), (plain(), annotate), (plain(*FORM), fill_in)],
)
def test_what_was_changed_with_the_first_signature_is_not_what_was_there_before(
    one: Institution, pdf: bytes, change: Callable[[IncrementalPdfFileWriter], None]
) -> None:
    changed = sealed_with(one, pdf, change)
    for whole in (changed, seal(Institution(subject="Other"), changed)):
        assert prepare_foreign(asked(whole)).first_ends == []
    unchanged = sealed_with(one, pdf, lambda _: None)
    assert pdf in {unchanged[:end] for end in prepare_foreign(asked(unchanged)).first_ends}


def test_a_form_that_is_filled_after_the_first_signature_is_not_what_was_there_before(one: Institution) -> None:
    sealed = seal(one, plain(*FORM))
    assert prepare_foreign(asked(sealed)).first_ends
    with_second = sealed_with(Institution(subject="Other"), sealed, fill_in)
    made = prepare_foreign(asked(with_second))
    assert (len(made.signers), made.first_ends) == (2, [])
