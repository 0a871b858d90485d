"""The report as a page: HTML without script and without anything from elsewhere."""

from __future__ import annotations

from html import escape as html

from appliance.evidence.language import Language
from appliance.evidence.report import Report
from appliance.evidence.told import Block, tell

_SIGNS = {"passed": "✓", "undecided": "?", "failed": "✗", "note": "·"}
_STYLE = (
    ":root{color-scheme:light dark;--line:#c9c3bb;--passed:#1b6e3c;--undecided:#8a5a00;--failed:#a4262c}"
    "@media(prefers-color-scheme:dark){:root{--line:#55504a;--passed:#7fd19e;--undecided:#f0c36b;--failed:#f1898d}}"
    'body{font:16px/1.55 system-ui,"Noto Sans","Noto Sans CJK SC",sans-serif;max-width:64rem;margin:0 auto;'
    "padding:1.5rem}h1{border-bottom:3px solid #a4262c}h2{margin-top:2rem;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid var(--line);padding:.25rem .5rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}.facts th{width:16rem}.scroll{overflow-x:auto}"
    ".scroll table{min-width:44rem}.facts{min-width:0!important}.verdict{font-size:1.3rem;font-weight:700}"
    "ul{list-style:none;padding:0}.passed{color:var(--passed)}.undecided{color:var(--undecided)}"
    ".failed{color:var(--failed)}.note{opacity:.75}@media print{body{max-width:none}}"
)


def report_page(report: Report, language: Language) -> bytes:
    """The page, UTF-8; equal reports give equal bytes."""
    told = tell(report, language)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html(told.title)}</title><style>{_STYLE}</style></head><body>\n<h1>{html(told.title)}</h1>\n"
        + "".join(_block(one) for one in told.blocks)
        + "</body></html>\n"
    ).encode()


def _block(block: Block) -> str:
    if block.form == "heading":
        level = int(block.style) + 1
        return f"<h{level}>{html(block.text)}</h{level}>\n"
    if block.form == "verdict":
        return f'<p class="verdict {block.style}">{html(block.text)}</p>\n<p>{html(block.rows[0][0])}</p>\n'
    if block.form == "line":
        return f'<p class="{block.style}">{html(block.text)}</p>\n'
    if block.form == "checks":
        lines = (f'<li class="{one}">{_SIGNS[one]} {html(name)}: {html(text)}</li>\n' for one, name, text in block.rows)
        return f"<ul>\n{''.join(lines)}</ul>\n"
    rows = []
    for number, row in enumerate(block.rows):
        heads = len(row) if block.form == "table" and number == 0 else (1 if block.form == "facts" else 0)
        cells = (
            f"<{'th' if at < heads else 'td'}>{html(cell)}</{'th' if at < heads else 'td'}>"
            for at, cell in enumerate(row)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>\n")
    return f'<div class="scroll"><table class="{block.form}">\n{"".join(rows)}</table></div>\n'
