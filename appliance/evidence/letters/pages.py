"""The page beside an event, held to the event: set again from the event and its kind, and compared byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from appliance.errors import CinnabarError
from appliance.evidence.findings import Journal, SubIndication
from appliance.letters.event import Event
from appliance.letters.kind import LoadedKind
from appliance.letters.page import DOCUMENT, PAGE_RULES, letter_page
from appliance.letters.state import LetterState
from appliance.pdf import Circumstances, LetterPage, PdfRefused, Rendering, Sameness, read_rendering, same_letter
from appliance.quoting import escape, quote

SetPage: TypeAlias = Callable[[LetterPage, bytes, Rendering], bytes]
"""Sets a page with the event inside (its canonical JSON), from the template, at the time and by what the rendering
says. Raises CinnabarError where it cannot."""

MOST_SET: Final = 8 * 1024 * 1024
"""Characters on the pages of one file; a page of twelve million took 10 to 13 s. A box sets a page of what came to it
in a few requests; in a file that somebody made up each event repeats what one of them brought."""
_A_CELL: Final = 25
"""A table's cell costs as much as so many characters."""
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What becomes of a page whose event is not one that its kind has."""


class PageNotSet(CinnabarError):
    """There is no page to be had of an event, or what sets pages is not installed."""

    code = "page-not-set"
    status = 501
    title = "The page cannot be set"


@dataclass
class Setter:
    """Sets the pages of one file again, as long as they are no more than that is done for."""

    set_page: SetPage
    left: int = MOST_SET

    def check(self) -> None:
        """Raises PageNotSet."""
        if self.left < 0:
            raise PageNotSet("the pages of one file are set again up to a size, and these are larger")

    def set(self, page: LetterPage, event: bytes, rendering: Rendering) -> bytes:
        """As `set_page`. Raises CinnabarError."""
        cells = sum(len(table.columns) * len(table.rows) for table in page.tables)
        self.left -= len(page.json()) + _A_CELL * cells
        self.check()
        return self.set_page(page, event, rendering)


def judge_page(
    event: Event,
    after: LetterState,
    pdf: bytes,
    kind: LoadedKind | None,
    setter: Setter | None,
    journal: Journal,
    *,
    rehearsal: bool,
) -> None:
    """Enter whether the page shows what the event says. `after`: the letter's state after it; `setter`: None where
    this verifier sets no pages; `rehearsal`: whether the trust bundle is one's."""
    if setter is None:
        journal.note("page", "The page was not compared with the event: `cinnabar verify` does.")
        return
    try:
        told = read_rendering(pdf)
        if told.attachment != event.canonical():
            journal.refuse("page", SubIndication.HASH_FAILURE, "The JSON inside the page is not the event.")
            return
        circumstances = told.circumstances
        if circumstances is None or kind is None or circumstances.rules != PAGE_RULES:
            _enter_why_not(circumstances, journal)
            return
        setter.check()
        page = _page(event, after, kind, circumstances)
        found = same_letter(pdf, lambda rendering: setter.set(page, event.canonical(), rendering))
    except PdfRefused as error:
        journal.refuse(
            "page", SubIndication.SIG_CONSTRAINTS_FAILURE,
            f"{quote(DOCUMENT)} is no page as boxes set them, so nothing shows what it says: {escape(str(error))}.",
        )  # fmt: skip
    except CinnabarError as error:
        journal.note("page", f"The page was not compared, for it could not be set again: {escape(str(error))}.")
    else:
        _enter(found, circumstances, journal)
        if circumstances.rehearsal != rehearsal:
            journal.refuse(
                "page", SubIndication.SIG_CONSTRAINTS_FAILURE,
                "Contradiction: the page and the trust bundle do not say alike whether this is a rehearsal.",
            )  # fmt: skip


def _enter_why_not(circumstances: Circumstances | None, journal: Journal) -> None:
    if circumstances is None:
        journal.note(
            "page", "The page was not compared: it is from before pages said how they are made of their event."
        )
    elif circumstances.rules != PAGE_RULES:
        journal.note(
            "page", f"The page was not compared: it is made by version {circumstances.rules} of the rules of pages."
        )
    else:
        journal.note("page", "The page was not compared: the kind's file is not there.")


def _page(event: Event, after: LetterState, kind: LoadedKind, circumstances: Circumstances) -> LetterPage:
    """Raises PageNotSet."""
    try:
        declared = kind.kind.fields
        hidden = {
            name: "" for name in circumstances.hidden if name in declared and declared[name].confidentiality == "hidden"
        }
        return letter_page(
            kind, msgspec.structs.replace(after, hidden=hidden), event.event, after.head, circumstances.organisation,
            verify=circumstances.verify, rehearsal=circumstances.rehearsal,
        )  # fmt: skip
    except _UNFIT:
        raise PageNotSet("the event is not one that its kind has") from None


def _enter(found: Sameness, circumstances: Circumstances, journal: Journal) -> None:
    match found:
        case Sameness.SAME:
            organisation, address = quote(circumstances.organisation), quote(circumstances.verify)
            journal.passed(
                "page",
                f"The page, set again, shows what the event says, in the name of {organisation}; its QR leads to "
                f"{address}."
                if circumstances.verify
                else f"The page, set again, shows what the event says, in the name of {organisation}; it has no QR.",
            )
        case Sameness.DIFFERS:
            journal.refuse(
                "page", SubIndication.HASH_FAILURE,
                "The page does not show what the event says: set again from the event, it comes out otherwise.",
            )  # fmt: skip
        case Sameness.ADDED:
            journal.refuse(
                "page", SubIndication.HASH_FAILURE, "More than seals was added to the page after it had been set."
            )
        case Sameness.OTHER_RENDERER:
            journal.note("page", "The page was not compared: other versions set it than are installed here.")
