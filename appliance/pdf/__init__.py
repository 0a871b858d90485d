"""PDF of letters: what stands on their page, and the seals inside (PAdES baseline, ETSI EN 319 142-1). Pure."""

from appliance.pdf.page import Column, LetterPage, PageRefused, Pair, Row, Section, Table

__all__ = [
    "Column",
    "LetterPage",
    "PageRefused",
    "Pair",
    "Row",
    "Section",
    "Table",
]
