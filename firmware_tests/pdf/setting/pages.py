"""What others say stands on a page, and how it looks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance.documents.letters import render_letter
from appliance.pdf import LetterPage
from firmware_tests.pdf.letters import request_of

TYPST: Final = b"(Typst "
_WORD: Final = re.compile(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>')


class Word(NamedTuple):
    """Points from the page's upper left corner."""

    text: str
    left: float
    top: float
    right: float


def run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=60).stdout


def set_here(page: LetterPage) -> bytes:
    """Raises AssertionError where typst set it."""
    made = render_letter(request_of(page))
    assert is_ours(made)
    return made


def set_by_typst(page: LetterPage) -> bytes:
    return render_letter(msgspec.structs.replace(request_of(page), creator=TYPST))


def is_ours(pdf: bytes) -> bool:
    return b"/Creator (Cinnabar letter setter " in pdf


def words(pdf: bytes, directory: Path) -> list[Word]:
    (directory / "page.pdf").write_bytes(pdf)
    told = run("pdftotext", "-bbox", directory / "page.pdf", "-")
    return [Word(text, float(left), float(top), float(right)) for left, top, right, _, text in _WORD.findall(told)]


def layout(pdf: bytes, directory: Path) -> list[str]:
    """The words in the order in which they are read, page by page."""
    (directory / "page.pdf").write_bytes(pdf)
    return run("pdftotext", "-layout", directory / "page.pdf", "-").replace("\f", "").split()


def run_pages(pdf: bytes, directory: Path) -> list[str]:
    """The text of each page."""
    (directory / "page.pdf").write_bytes(pdf)
    return run("pdftotext", "-layout", directory / "page.pdf", "-").split("\f")[:-1]


def text(pdf: bytes, directory: Path) -> str:
    """In the order of the content, without spaces or line ends."""
    (directory / "page.pdf").write_bytes(pdf)
    return "".join(run("pdftotext", "-raw", directory / "page.pdf", "-").replace("\u200b", "").split())


def blocks(pdf: bytes, directory: Path, side: int = 12) -> list[list[float]]:
    """Darkness, 0 to 255, of squares of the first page, at 72 dots an inch."""
    (directory / "page.pdf").write_bytes(pdf)
    run("pdftoppm", "-r", 72, "-gray", "-singlefile", directory / "page.pdf", directory / "page")
    data = (directory / "page.pgm").read_bytes()
    _, width, height, _ = data.split(maxsplit=4)[:4]
    across, down = int(width), int(height)
    pixels = data[-across * down :]
    return [
        [
            255 - sum(sum(pixels[y * across + x : y * across + x + side]) for y in range(top, top + side)) / side**2
            for x in range(0, across - side, side)
        ]
        for top in range(0, down - side, side)
    ]
