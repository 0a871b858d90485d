"""The plain pages on which anybody checks a letter: two languages on one page, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from appliance.asic import ASIC_E
from appliance.letters.kind import Bilingual

if TYPE_CHECKING:
    from appliance.api.letters.public import CheckedLetter, FoundLetter

STYLE: Final = b"""
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fffdf9; --quiet: #5c5750; --rule: #d8d0c4; --seal: #9c1c1c }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eee9e1; --paper: #181614; --quiet: #b3aba0; --rule: #4a443c; --seal: #ff9a8c }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif }
main { max-width: 38rem; margin: 0 auto; padding: 2rem 1rem 4rem }
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0 0 .25rem; padding-bottom: .5rem;
  border-bottom: 3px solid var(--seal) }
p { margin: .75rem 0 }
.en, dd .en { color: var(--quiet) }
.code { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
.warning { border: 2px solid var(--seal); padding: .5rem .75rem; color: var(--seal); font-weight: 600 }
.state { font-size: 1.25rem; font-weight: 600 }
label { display: block; font-weight: 600; margin: 1rem 0 .35rem }
input { font: inherit; width: 100%; padding: .6rem; color: inherit; background: transparent;
  border: 1px solid var(--quiet); border-radius: .25rem }
button { font: inherit; font-weight: 600; margin-top: 1rem; padding: .6rem 1.5rem; color: var(--paper);
  background: var(--seal); border: 0; border-radius: .25rem; cursor: pointer }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid var(--seal); outline-offset: 2px }
a { color: var(--seal) }
dl { margin: 1.5rem 0; border-top: 1px solid var(--rule) }
dl div { display: grid; grid-template-columns: minmax(9rem, 1fr) 2fr; gap: .25rem 1rem; padding: .5rem 0;
  border-bottom: 1px solid var(--rule) }
dt { color: var(--quiet) } dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 30rem) { dl div { grid-template-columns: 1fr } }
"""

_CODE_FORM: Final = (
    '<form method="get" action="/" autocomplete="off">'
    '<label for="code">函件所载的编号<br><span class="en" lang="en">The code on the letter\'s page</span></label>'
    '<input id="code" name="code" class="code" required maxlength="200">'
    '<button type="submit">继续 <span lang="en">Go on</span></button></form>'
)
_REHEARSAL = '<p class="warning">演练环境，不具效力。<span lang="en">Rehearsal: of no effect.</span></p>'


def start_page(kinds: Sequence[tuple[str, Bilingual]], rehearsal: bool) -> bytes:
    """Asks for the code; leads to the kinds (id, title) whose letters are found by a pair of fields; takes a file."""
    links = "".join(
        f'<li><a href="/letters/find?kind={escape(kind)}">{escape(title.zh)} <span lang="en">{escape(title.en)}</span>'
        "</a></li>"
        for kind, title in kinds
    )
    by_pair = (
        '<h2>没有编号 <span class="en" lang="en">Without the code</span></h2>'
        '<p>按两项要素查验：<br><span class="en" lang="en">By two of the letter\'s fields:</span></p>'
        f"<ul>{links}</ul>"
    )
    return _page("核验函件", "Check a letter", rehearsal, _CODE_FORM + (by_pair if links else "") + _find_forms(None))


def no_code_page(rehearsal: bool) -> bytes:
    """What was typed is no code of any letter."""
    said = (
        '<p class="state" role="alert">这不是函件编号：编号为 32 位，由数字 0–9 和字母 a–f 组成。'
        '<br><span class="en" lang="en">This is no letter\'s code: a code has 32 characters, 0 to 9 and a to f.'
        "</span></p>"
    )
    return _page("核验函件", "Check a letter", rehearsal, said + _CODE_FORM)


def form_page(code: str, rehearsal: bool) -> bytes:
    """Asks for the second field."""
    return _page("核验函件", "Check a letter", rehearsal, _form(code))


def unknown_page(code: str, rehearsal: bool) -> bytes:
    """The code and the field fit no letter; which of them is wrong is not told."""
    said = (
        '<p class="state" role="alert">没有与该编号和要素相符的函件。'
        '<br><span class="en" lang="en">There is no letter with this code and this field.</span></p>'
        "<p>请逐字核对后再试；仍不相符的，请向出具机构查询。"
        '<br><span class="en" lang="en">Compare both with the letter and try again. If they still do not fit, ask the '
        "institution that issued it.</span></p>"
    )
    return _page("核验函件", "Check a letter", rehearsal, said + _form(code))


def too_often_page(rehearsal: bool) -> bytes:
    """The address asks too often. It tells nothing of what was asked: nobody has looked."""
    said = (
        '<p class="state" role="alert">查验过于频繁，请稍候片刻再试。'
        '<br><span class="en" lang="en">Too many checks from this address. Wait a moment and try again.</span></p>'
    )
    return _page("核验函件", "Check a letter", rehearsal, said)


class PairLabels(NamedTuple):
    """How the fields of a kind's pair are called."""

    kind: str
    title: Bilingual
    first: Bilingual
    second: Bilingual


def find_form(pair: PairLabels | None, rehearsal: bool) -> bytes:
    """Asks for the two fields of a kind's pair, where there is one, or for the file."""
    return _page("核验函件", "Check a letter", rehearsal, _find_forms(pair))


def not_found(pair: PairLabels | None, rehearsal: bool) -> bytes:
    """Nothing that may be told fits."""
    said = (
        '<p class="state" role="alert">没有与所填要素或文件相符、且可公开查验的函件。'
        '<br><span class="en" lang="en">There is no letter with these fields, or of this file, that may be told.'
        "</span></p>"
    )
    return _page("核验函件", "Check a letter", rehearsal, said + _find_forms(pair))


def found_page(found: Sequence[FoundLetter], rehearsal: bool) -> bytes:
    """Every letter that was found, as its kind makes it public."""
    parts = "".join(
        f"<h2>{escape(one.title.zh)} <span class=en lang=en>{escape(one.title.en)}</span></h2>{_standing(one, '')}"
        for one in found
    )
    again = '<p><a href="/letters/find">再次核验 <span lang="en">Check again</span></a></p>'
    return _page("核验结果", "What was found", rehearsal, parts + again)


def _find_forms(pair: PairLabels | None) -> str:
    by_file = (
        '<form method="post" action="/letters/file" enctype="multipart/form-data">'
        '<label for="file">上传函件的 PDF 原件或证据文件（.asice）'
        '<br><span class="en" lang="en">The letter\'s PDF, as it was issued, or its evidence file (.asice)</span>'
        f'</label><input id="file" name="file" type="file" required accept="application/pdf,.asice,{ASIC_E}">'
        '<button type="submit">核验文件 <span lang="en">Check the file</span></button></form>'
    )
    if pair is None:
        return by_file
    fields = "".join(
        f'<label for="{name}">{escape(label.zh)}<br><span class="en" lang="en">{escape(label.en)}</span></label>'
        f'<input id="{name}" name="{name}" required maxlength="200">'
        for name, label in (("first", pair.first), ("second", pair.second))
    )
    return (
        f'<p>{escape(pair.title.zh)} <span class="en" lang="en">{escape(pair.title.en)}</span></p>'
        '<form method="post" action="/letters/find" autocomplete="off">'
        f'<input type="hidden" name="kind" value="{escape(pair.kind)}">{fields}'
        f'<button type="submit">核验 <span lang="en">Check</span></button></form>{by_file}'
    )


def answer_page(found: CheckedLetter) -> bytes:
    """What the kind makes public, and the letter's state now."""
    code = f"<div><dt>编号<br><span lang=en>Code</span></dt><dd class=code>{found.code}</dd></div>"
    body = _standing(found, code) + (
        "<p>此结果为本系统当前记录，不替代证据文件的离线核验。"
        '<br><span class="en" lang="en">This is what the box records now. The letter\'s evidence file can be checked '
        "offline, without the box.</span></p>"
        f'<p><a href="/letters/{found.code}">再次核验 <span lang="en">Check again</span></a></p>'
    )
    return _page(found.title.zh, found.title.en, found.rehearsal, body)


def _standing(found: FoundLetter, code: str) -> str:
    """State and public fields. `code`: the row of the letter's code, where it is told."""
    rows = "".join(
        f"<div><dt>{escape(one.label.zh)}<br><span lang=en>{escape(one.label.en)}</span></dt>"
        f"<dd>{_value(one.value)}</dd></div>"
        for one in found.fields
    )
    return (
        f'<p class="state">{escape(found.state.zh)}<br><span class="en" lang="en">{escape(found.state.en)}</span></p>'
        f"<dl>{code}"
        f"<div><dt>出具机构<br><span lang=en>Issuer</span></dt><dd>{escape(found.issuer)}</dd></div>{rows}"
        f"<div><dt>最近变动<br><span lang=en>Last event</span></dt><dd>{escape(_when(found.changed))}</dd></div></dl>"
    )


def _form(code: str) -> str:
    return (
        f'<p>编号 <span class="en" lang="en">Code</span><br><span class="code">{code}</span></p>'
        f'<form method="post" action="/letters/{code}" autocomplete="off">'
        '<label for="second">函件所载的第二项要素（如招标编号、订单编号、凭证编号）'
        '<br><span class="en" lang="en">The second field as the letter has it, such as its tender, order or voucher '
        "number</span></label>"
        '<input id="second" name="second" required maxlength="200" autofocus>'
        '<button type="submit">核验 <span lang="en">Check</span></button></form>'
    )


def _page(title: str, english: str, rehearsal: bool, body: str) -> bytes:
    return (
        '<!doctype html><html lang="zh-Hans"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · {escape(english)}</title>"
        '<link rel="stylesheet" href="/letters/style.css"></head><body><main>'
        f"{_REHEARSAL if rehearsal else ''}"
        f'<h1>{escape(title)} <span class="en" lang="en">{escape(english)}</span></h1>{body}</main></body></html>'
    ).encode()


def _value(value: Any) -> str:  # JSON
    if isinstance(value, dict) and "currency" in value:
        return escape(f"{value['currency']} {value['amount']}")
    if isinstance(value, dict) and "name" in value:
        return escape(str(value["name"]))
    if isinstance(value, bool):
        return "是 Yes" if value else "否 No"
    return escape(str(value))


def _when(text: str) -> str:
    return f"{text[:10]} {text[11:19]} UTC"
