"""The report as a PDF, set by typst. The data are text, never markup; equal reports give equal bytes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.errors import CinnabarError
from appliance.evidence.language import Language
from appliance.evidence.report import Report
from appliance.evidence.told import tell

_TEMPLATE = Path(__file__).with_name("report.typ")
_FONTS = Path("/usr/share/fonts/opentype/noto")
_FAMILY = "Noto Sans CJK SC"


class NotPrintable(CinnabarError):
    """What sets the PDF is not installed."""

    code = "not-printable"
    status = 501
    title = "The report cannot be printed here"


def printed_report(report: Report, language: Language) -> bytes:
    """The PDF. Raises NotPrintable where typst or the fonts are missing."""
    try:
        import typst  # noqa: PLC0415 - the verifier alone installs without it
    except ImportError:
        raise NotPrintable(
            "it needs typst: pip install 'cinnabar[appliance]'; or ask for a file that ends in .html"
        ) from None
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[_FONTS])
    if _FAMILY not in fonts.families():
        raise NotPrintable(f"it needs the font {_FAMILY}: install fonts-noto-cjk; or ask for a file that ends in .html")
    data = msgspec.json.encode(tell(report, language)).decode()
    compiler = typst.Compiler(
        _TEMPLATE.read_bytes(), font_paths=fonts, ignore_system_fonts=True, sys_inputs={"data": data}
    )
    made = compiler.compile(format="pdf", timestamp=0)
    if not isinstance(made, bytes):
        raise NotPrintable("the report came in pieces")
    return made
