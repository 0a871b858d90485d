"""The page for people in an evidence file: a first look, in both languages, for whoever unpacks it. Not evidence."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape as html
from typing import Any, Final

from appliance.asic.chain import Line, Step, number_told
from appliance.letters.fields import as_declared
from appliance.letters.kind import Bilingual, Kind
from appliance.letters.money import print_amount
from appliance.quoting import escape

_HEAD = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>Letter 函件</title><style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{border:1px solid #999;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}.warning{border:2px solid #b00;padding:.6rem 1rem}"
    "</style></head><body>\n"
)
_WARNING = (
    '<p class="warning"><strong>This page is not evidence.</strong> Nobody signed it, and no verifier reads it. Check '
    "the whole file with <code>cinnabar verify</code> or with the page verifier.html.<br>"
    '<span lang="zh-Hans"><strong>本页不是证据。</strong>本页无人签名，验证程序也不读取它。请用 '
    "<code>cinnabar verify</code> 或 verifier.html 页面验证整个文件。</span></p>\n"
)
_REHEARSAL = (
    '<p class="warning"><strong>REHEARSAL.</strong> This letter was made for practice and binds nobody.<br>'
    '<span lang="zh-Hans"><strong>演练。</strong>本函件仅供练习，不具约束力。</span></p>\n'
)
_MOVES: Final[Mapping[str, str]] = {
    "open": "opened 设立",
    "raise": "raised 增加",
    "lower": "lowered 减少",
    "close": "closed 结清",
    "split": "split 拆分",
}


def page_for_people(line: Line, kind: Kind | None = None, *, rehearsal: bool = False) -> bytes:
    """The page, HTML without script and without anything from elsewhere. `kind`: for titles; `rehearsal`: whether the
    letter was made for practice, which stands above everything else."""
    state = line.state
    title = _titled(kind.title if kind is not None else None, state.kind.id)
    rows = [
        ("Letter 编号", state.letter),
        ("Kind 种类", f"{title} ({state.kind.id} {state.kind.version})"),
        ("State 状态", _state(kind, state.state)),
        ("Events 事件", str(len(line.steps))),
    ]
    if state.currency:
        rows.append(("Balance 余额", f"{print_amount(state.balance, state.currency)} {state.currency}"))
    if state.origin is not None:
        rows.append(("Split off from 拆分自", state.origin))
    declared = kind.fields if kind is not None else {}
    rows += [(_label(kind, name), _value(value)) for name, value in as_declared(state.fields, declared)]
    return "".join(
        (
            _HEAD, _REHEARSAL if rehearsal else "", _WARNING, f"<h1>{_text(title)}</h1>\n<table>\n",
            *(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>\n" for name, value in rows),
            "</table>\n<table>\n<tr><th>#</th><th>Event 事件</th><th>Time 时间 (UTC)</th><th>State 状态</th>"
            "<th>Value 金额</th><th>By 申请方</th></tr>\n",
            *(_row(step, kind, line.steps[0].event.letter) for step in line.steps),
            "</table>\n</body></html>\n",
        )
    ).encode()  # fmt: skip


def _row(step: Step, kind: Kind | None, first: str) -> str:
    event = step.event
    rule = kind.events.get(event.event) if kind is not None else None
    value = "" if event.value is None else f"{_MOVES[event.value.move]} {event.value.amount} {event.value.currency}"
    cells = (
        number_told(event.number, event.letter, first),
        _titled(rule.title if rule is not None else None, event.event),
        event.at.replace("T", " ").removesuffix("Z"),
        _state(kind, event.state), value, f"{event.actor.application} ({event.actor.tenant})",
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>\n"


def _titled(title: Bilingual | None, name: str) -> str:
    return name if title is None else f"{title.en} {title.zh}"


def _state(kind: Kind | None, name: str) -> str:
    state = kind.states.get(name) if kind is not None else None
    return _titled(state.title if state is not None else None, name)


def _label(kind: Kind | None, name: str) -> str:
    field = kind.fields.get(name) if kind is not None else None
    return _titled(field.label if field is not None else None, name)


def _value(value: Any) -> str:
    if isinstance(value, dict) and "name" in value and set(value) <= {"id", "name"}:
        return " ".join(str(value[one]) for one in ("name", "id") if one in value)
    if isinstance(value, dict):
        return " ".join(_value(one) for _, one in sorted(value.items()))
    if isinstance(value, list):
        return "; ".join(_value(one) for one in value)
    if isinstance(value, bool):
        return "yes 是" if value else "no 否"
    return str(value)


def _text(text: str) -> str:
    return html(escape(text, 20_000))
