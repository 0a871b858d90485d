"""expat, set to take no document type: so no entities, no outside files, and nothing that expands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.parsers import expat

from appliance.intake.errors import IntakeRefused


def new_parser(part: str) -> Any:  # an expat parser
    """A parser of UTF-8, whatever the document says of itself."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise IntakeRefused(f"{part}: it has a document type, and none is taken")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    return parser


def feed(parser: Any, pieces: Iterable[bytes], part: str) -> None:
    """Parse a whole part. Raises IntakeRefused."""
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise IntakeRefused(f"{part}: it is no XML: {error}") from None


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]
