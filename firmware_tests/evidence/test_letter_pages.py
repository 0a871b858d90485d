"""Pages beside events are held to them: set again from the event and its kind's file, as `cinnabar verify` does."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.documents.contracts import RenderLetterRequest
from appliance.documents.errors import FontsMissing
from appliance.documents.letters import render_letter
from appliance.evidence import Indication, NamedBytes, Report, SubIndication, verify
from appliance.evidence.cli import verify_command
from appliance.evidence.findings import Check, Journal
from appliance.evidence.letters.pages import MOST_SET, Setter, judge_page
from appliance.evidence.page_setter import set_page
from appliance.letters.event import Event, KindReference
from appliance.letters.kind import LoadedKind, read_kind
from appliance.letters.page import DOCUMENT, letter_page
from appliance.letters.state import LetterState, follow
from appliance.pdf import LetterPage, Rendering, read_rendering
from firmware_tests.evidence.letters import NOW, event, evidence, office, opened_value, surroundings
from firmware_tests.evidence.material import microseconds
from firmware_tests.letters import sound_kind
from firmware_tests.letters.kinds import BID_BOND, FIELDS
from firmware_tests.pdf.sealed import Institution, covered

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
BANK: Final = "华南担保 (Guarantee), Ltd."
ADDRESS: Final = "https://verify.example.cn/l/1a1a"
SAMPLE: Final = read_kind(sound_kind.TEXT.encode())
SAMPLED: Final[dict[str, Any]] = {
    "number": "GD-17", "face": {"amount": "1234567.89", "currency": "CNY"}, "due": "2099-12-31", "grade": "a",
    "holder": {"name": "甲供应商", "id": "91440101"}, "seller": {"name": "乙供应商", "id": "91440102"}, "share": "0.25",
    "sellers": [{"id": "一"}, {"id": "two"}], "times": 3,
}  # fmt: skip


@functools.cache
def institution(subject: str = "Seal") -> Institution:
    return Institution(subject=subject)


def of_kind(kind: LoadedKind, before: Event | None = None, name: str = "issue", **changes: Any) -> Event:
    reference = KindReference(digest=kind.digest, id=kind.kind.id, version=kind.kind.version)
    return event(before, name, kind=reference, **changes)


ISSUED: Final = of_kind(BID_BOND, fields=FIELDS, value=opened_value())
POSTPONED: Final = of_kind(BID_BOND, ISSUED, "postpone", fields={"valid_until": "2100-01-31"})


def bare(
    happened: Event, after: LetterState, kind: LoadedKind = BID_BOND, attached: Event | None = None, **page: Any
) -> bytes:
    """The page as a box sets it. `page`: what it has otherwise; `attached`: the event inside."""
    given = {"organisation": BANK, "verify": ADDRESS, "rehearsal": True} | page
    made: LetterPage = letter_page(kind, after, happened.event, after.head, **given)
    inside = (attached or happened).canonical()
    return render_letter(
        RenderLetterRequest(data=made.json(), time_s=1_795_305_600, attachment=inside, qr=made.verify or None)
    )


def paper(*arguments: Any, **page: Any) -> bytes:
    return institution().seal(bare(*arguments, **page))


@functools.cache
def honest() -> bytes:
    return paper(ISSUED, follow(None, ISSUED))


def report(
    *sealed: tuple[Event, bytes], kind: LoadedKind = BID_BOND, within: bool = True, setter: Any = set_page, **more: Any
) -> Report:
    desk = office()
    for one, pdf in sealed:
        desk.seal(one, beside={DOCUMENT: pdf})
    content = evidence(desk.chain(), kinds=[kind] if within else [])
    files = [NamedBytes("letter.asice", content)]
    return verify(files, surroundings()[0].trust(), now_us=microseconds(NOW), set_page=setter, **more)


def said(found: Report) -> list[Check]:
    return [one for part in found.files[0].parts for one in part.checks if one.name == "page"]


def shown(found: Report, outcome: str, text: str) -> None:
    (one,) = said(found)
    assert (one.outcome, text in one.text) == (outcome, True), one
    expected = {"passed": PASSED, "note": PASSED, "undecided": UNDECIDED, "failed": FAILED}[outcome]
    assert found.indication is expected, found.sub_indications


# --- honest pages ----------------------------------------------------------------------------------------------------


def test_an_honest_page_is_told_with_whose_it_is_and_where_its_code_leads() -> None:
    shown(report((ISSUED, honest())), "passed", f"“{BANK}”; its QR leads to “{ADDRESS}”")


def test_a_page_without_a_code() -> None:
    shown(report((ISSUED, paper(ISSUED, follow(None, ISSUED), verify=""))), "passed", "it has no QR")


def test_a_page_of_a_later_event_shows_what_went_before() -> None:
    first = follow(None, ISSUED)
    found = report((ISSUED, honest()), (POSTPONED, paper(POSTPONED, follow(first, POSTPONED))))
    assert found.indication is PASSED
    assert [one.outcome for one in said(found)] == ["passed"] * 2


@pytest.mark.parametrize("hidden", [{}, {"remark": "a disclosure"}], ids=["nothing hidden", "hidden"])
def test_a_page_with_a_table_and_fields_that_are_not_shown(hidden: dict[str, str]) -> None:
    one = of_kind(
        SAMPLE,
        name="draft",
        state="drafted",
        fields=SAMPLED,
        sealed={"price": "ab" * 32},
        hidden=["cd" * 16] * len(hidden),
    )
    after = msgspec.structs.replace(follow(None, one), hidden=hidden)
    shown(report((one, paper(one, after, SAMPLE)), kind=SAMPLE), "passed", "shows what the event says")


def test_a_page_that_typst_set() -> None:
    one = of_kind(BID_BOND, fields=FIELDS | {"project": "q\u0301江污水处理厂"}, value=opened_value())
    pdf = paper(one, follow(None, one))
    assert read_rendering(pdf).creator.startswith(b"(Typst ")
    shown(report((one, pdf)), "passed", "shows what the event says")


def test_a_page_that_others_sealed_too() -> None:
    shown(report((ISSUED, institution("Counter").seal(honest(), place=(1, 3)))), "passed", "shows what the event says")


# --- pages that lie --------------------------------------------------------------------------------------------------


def otherwise(**fields: Any) -> LetterState:
    after = follow(None, ISSUED)
    return msgspec.structs.replace(after, fields=after.fields | fields)


def test_another_amount_than_the_events_is_found() -> None:
    lying = paper(ISSUED, otherwise(amount={"amount": "5000000.00", "currency": "CNY"}))
    found = report((ISSUED, lying))
    shown(found, "failed", "does not show what the event says")
    assert found.sub_indications == [SubIndication.HASH_FAILURE]


def test_the_command_finds_it_too(tmp_path: Path) -> None:
    world = surroundings()[0]
    (tmp_path / "trust").mkdir()
    for name, content in world.bundle_files().items():
        (tmp_path / "trust" / name).write_bytes(content)
    told = []
    for pdf in (honest(), paper(ISSUED, otherwise(tender_code="GD-2026-9999"))):
        desk = office()
        desk.seal(ISSUED, beside={DOCUMENT: pdf})
        (tmp_path / "letter.asice").write_bytes(evidence(desk.chain(), kinds=[BID_BOND]))
        arguments = ["letter.asice", "trust", "state"]
        file, trust, state = (str(tmp_path / name) for name in arguments)
        at = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
        command = [file, "--trust", trust, "--state", state, "--at", at, "--language", "zh-Hans"]
        done = CliRunner().invoke(verify_command, command, catch_exceptions=False)
        told.append((done.exit_code, "页面所示不是事件所述" in done.output))
    assert told == [(0, False), (1, True)]


def test_another_event_inside_is_found() -> None:
    other = msgspec.structs.replace(ISSUED, fields=FIELDS | {"tender_code": "GD-2026-9999"})
    after = follow(None, other)
    shown(report((ISSUED, paper(other, after))), "failed", "The JSON inside the page is not the event.")
    shown(report((ISSUED, paper(other, after, attached=ISSUED))), "failed", "does not show what the event says")


@pytest.mark.parametrize("name", [b"bidder", b"nobody"])
def test_a_page_cannot_hide_what_its_kind_does_not(name: bytes) -> None:
    after = follow(None, ISSUED)
    fields = {one: value for one, value in after.fields.items() if one != "bidder"}
    made = bare(ISSUED, msgspec.structs.replace(after, fields=fields, hidden={"bidder": ""}))
    assert b"hidden:bidder" in made
    made = made.replace(b"hidden:bidder", b"hidden:" + name)
    shown(report((ISSUED, institution().seal(made))), "failed", "does not show what the event says")


def test_what_is_drawn_over_a_sealed_page_is_found() -> None:
    shown(report((ISSUED, covered(honest()))), "failed", "More than seals was added")


def test_a_page_that_does_not_say_that_it_is_a_rehearsals() -> None:
    found = report((ISSUED, paper(ISSUED, follow(None, ISSUED), rehearsal=False)))
    assert [one.outcome for one in said(found)] == ["passed", "undecided"]
    assert found.sub_indications == [SubIndication.SIG_CONSTRAINTS_FAILURE]


# --- pages of which nothing can be said ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "is_now", "why"),
    [
        (b"page-rules:", b"page-r_les:", "from before pages said"),
        (b"page-rules:1", b"page-rules:9", "version 9 of the rules"),
        (b"(Cinnabar letter setter 2,", b"(Cinnabar letter setter 1,", "other versions set it"),
        (b"renderer:zlib%20", b"renderer:zlib%21", "other versions set it"),
    ],
)
def test_what_other_versions_made_is_not_accused(was: bytes, is_now: bytes, why: str) -> None:
    made = honest()
    assert was in made
    shown(report((ISSUED, made.replace(was, is_now))), "note", why)


def test_without_the_kinds_file_nothing_is_said_until_it_is_given() -> None:
    shown(report((ISSUED, honest()), within=False), "note", "the kind's file is not there")
    shown(report((ISSUED, honest()), within=False, kinds=[BID_BOND]), "passed", "shows what the event says")


def test_without_fonts_nothing_is_said() -> None:
    def lacking(_page: LetterPage, _event: bytes, _rendering: Rendering) -> bytes:
        raise FontsMissing("the box lacks the font")

    shown(report((ISSUED, honest()), setter=lacking), "note", "the box lacks the font")


def test_without_typst_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier alone installs without what sets pages."""
    pdf = honest()
    monkeypatch.setitem(sys.modules, "appliance.documents.letters", None)
    shown(report((ISSUED, pdf)), "note", "it needs typst")


def test_a_file_whose_pages_are_too_large_takes_no_time() -> None:
    """One event brings much, and each after it has a page that would show all of it."""
    set_again = []

    def setter(page: LetterPage, inside: bytes, rendering: Rendering) -> bytes:
        set_again.append(page)
        return set_page(page, inside, rendering)

    much = FIELDS | {"project": "工" * (MOST_SET // 2)}
    first = of_kind(BID_BOND, fields=much, value=opened_value())
    events, after = [first], follow(None, first)
    sealed = []
    for _ in range(3):
        events.append(of_kind(BID_BOND, events[-1], "postpone", fields={"valid_until": "2100-01-31"}))
        after = follow(after, events[-1])
        short = msgspec.structs.replace(after, fields=after.fields | {"project": "工"})
        sealed.append((events[-1], bare(events[-1], short)))
    found = report((first, honest()), *sealed, setter=setter)
    assert [one.outcome for one in said(found)] == ["failed", *["note"] * 3]
    assert len(set_again) == 1


def test_who_sets_no_pages_says_so() -> None:
    shown(report((ISSUED, honest()), setter=None), "note", "`cinnabar verify` does")


@pytest.mark.parametrize(
    "changes",
    [{"name": "vanish"}, {"state": "gone"}, {"fields": FIELDS | {"amount": 7}}, {"fields": FIELDS | {"bidder": []}}],
)
def test_an_event_that_its_kind_does_not_have_has_no_page(changes: dict[str, Any]) -> None:
    one = of_kind(BID_BOND, **({"fields": FIELDS} | changes))
    pdf = paper(ISSUED, follow(None, ISSUED), attached=one)
    shown(report((one, pdf)), "note", "the event is not one that its kind has")


# --- what is no page -------------------------------------------------------------------------------------------------


def cut(pieces: Sequence[int]) -> bytes:
    return b"".join(honest()[start : start + 400] for start in pieces)


@pytest.mark.parametrize(
    "pdf",
    [b"", b"%PDF-1.7", b"%PDF-1.7 as people read it", cut([0]), cut([0, len(honest()) - 400]), honest()[:-9]],
    ids=["nothing", "a head", "words", "the beginning", "both ends", "cut off"],
)
def test_what_is_no_page_of_a_box_shows_nothing(pdf: bytes) -> None:
    shown(report((ISSUED, pdf)), "undecided", "is no page as boxes set them")


@settings(max_examples=150)
@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_page_changed_anywhere_ends_in_one_finding(at: int, put: bytes, near_end: bool) -> None:
    whole = honest()
    at = len(whole) - 1 - at % 20_000 if near_end else at % len(whole)
    broken = whole[:at] + put + whole[at + len(put) :]
    journal = Journal()
    judge_page(ISSUED, follow(None, ISSUED), broken, BID_BOND, Setter(set_page), journal, rehearsal=True)
    assert [one.name for one in journal.checks] == ["page"]
