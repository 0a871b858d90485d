"""The witness's pages: plain HTML without scripts, made anew for each reader. Read only."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from html import escape as html
from typing import Final

from appliance.quoting import escape
from appliance.witness.overview import BAD, LogView, Overview
from appliance.witness.texts import LANGUAGES, Language, say

_STYLE: Final = """
body{font:16px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ccc;
vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{overflow-wrap:anywhere}
.bad{background:#fbe3e1}.bad strong{color:#8a1008}.warn{background:#fff4d6}
:focus-visible{outline:3px solid #1257c4;outline-offset:2px}.wide{overflow-x:auto}a{color:#8e2318}
small{color:#555}nav a{margin-right:1rem}
"""


_END: Final = "</table></div>"


def index_page(view: Overview, language: Language) -> bytes:
    """Every log, forks, and the witness's keys."""
    title = view.title or say(language, "Witness of transparency logs")
    first = "Every log is as this witness last cosigned it."
    if view.status != "sound":
        first = "Nothing of some logs is cosigned until a person decides."
    body = [
        f"<p{' class=bad' if view.status != 'sound' else ''}>{say(language, first)}</p>",
        _table(language, ("Log", "State", "Entries", "Last cosigned", "Cosigned", "Refused", "Published"), (2, 4, 5)),
        *(_log_row(one, language) for one in view.logs),
        _END,
        _forks(view, language),
        _decisions(view, language),
        f"<h2>{say(language, 'Keys of this witness')}</h2>",
        *(f"<p><code>{_text(key)}</code></p>" for key in view.keys),
        f'<p><a href="/logs.json">{say(language, "As JSON")}</a></p>',
    ]
    return _page(title, body, language, view.time)


def log_page(view: Overview, one: LogView, days: Sequence[tuple[int, int, int]], language: Language) -> bytes:
    """One log, day by day. `days`: day since the epoch, entries at its end, heads cosigned."""
    refusals = ", ".join(f"{_text(reason)}: {count}" for reason, count in sorted(one.refusals.items()))
    body = [
        f'<p><a href="/?language={language}">{say(language, "All logs")}</a></p>',
        _table(language, ("Log", "State", "Entries", "Last cosigned", "Cosigned", "Refused", "Published"), (2, 4, 5)),
        _log_row(one, language),
        _END,
    ]
    if one.root is not None:
        body.append(f"<p>{say(language, 'Root')}: <code>{_text(one.root)}</code></p>")
        body.append(f'<p><a href="/log/{one.id}/checkpoint">{say(language, "Signed head")}</a></p>')
    if refusals:
        body.append(f"<p>{say(language, 'Reasons of refusals')}: {refusals}</p>")
    body.append(f"<h2>{say(language, 'Days')}</h2>{_table(language, ('Day', 'Entries', 'Cosigned'), (1, 2))}")
    epoch = datetime.date(1970, 1, 1)
    body += [
        f"<tr><td>{epoch + datetime.timedelta(days=day)}</td>{_number(size)}{_number(count)}</tr>"
        for day, size, count in days
    ]
    body.append(_END)
    return _page(one.title, body, language, view.time)


def _log_row(one: LogView, language: Language) -> str:
    published = one.published
    warn = one.state == "silent" or (published is not None and published.found != "cosigned")
    style = ' class="bad"' if one.state in BAD else ' class="warn"' if warn else ""
    name = f'<a href="/log/{one.id}?language={language}">{_text(one.title)}</a>'
    if one.title != one.origin:
        name += f"<br><small>{_text(one.origin)}</small>"
    since = f"<br><small>{_text(one.since)}</small>" if one.since else ""
    shown = ""
    if published is not None:
        shown = f"{say(language, published.found)} <small>{_text(published.time)} {_text(published.detail)}</small>"
    return (
        f"<tr{style}><td>{name}</td><td><strong>{say(language, one.state)}</strong>{since}</td>{_number(one.size)}"
        f"<td>{_text(one.time or '')}</td>{_number(one.cosigned)}{_number(sum(one.refusals.values()))}"
        f"<td>{shown}</td></tr>"
    )


def _forks(view: Overview, language: Language) -> str:
    heading = f"<h2>{say(language, 'Forks')}</h2>"
    if not view.forks:
        return f"{heading}<p>{say(language, 'No log has forked.')}</p>"
    rows = "".join(
        f"<tr{'' if fork.decided else ' class=bad'}><td>{_text(fork.origin)}</td><td>{_text(fork.found)}</td>"
        f"<td>{_text(fork.decided) if fork.decided else say(language, 'open')} {_text(fork.reason or '')}</td>"
        f'<td><a href="{fork.evidence}">{say(language, "evidence")}</a></td></tr>'
        for fork in view.forks
    )
    return f"{heading}{_table(language, ('Log', 'Found', 'Decided', 'evidence'), ())}{rows}{_END}"


def _decisions(view: Overview, language: Language) -> str:
    if not view.decisions:
        return ""
    rows = "".join(
        f"<tr><td>{_text(one.origin)}</td><td>{_text(one.time)}</td>{_number(one.size)}<td>{_text(one.reason)}</td></tr>"
        for one in view.decisions
    )
    headings = ("Log", "Decided", "Entries", "Reason")
    return f"<h2>{say(language, 'Decisions')}</h2>{_table(language, headings, (2,))}{rows}{_END}"


def _table(language: Language, headings: Iterable[str], numbers: Sequence[int]) -> str:
    first, *_ = headings = tuple(headings)
    cells = "".join(
        f"<th{' class=n' if place in numbers else ''} scope=col>{say(language, heading)}</th>"
        for place, heading in enumerate(headings)
    )
    return f'<div class=wide role=region tabindex=0 aria-label="{say(language, first)}"><table><tr>{cells}</tr>'


def _number(value: int | None) -> str:
    return f"<td class=n>{'' if value is None else f'{value:,}'}</td>"


def _text(text: str) -> str:
    """Text that others wrote: nothing in it is markup, and nothing in it misleads."""
    return html(escape(text))


def _page(title: str, body: Iterable[str], language: Language, time: str) -> bytes:
    others = " ".join(
        f'<a href="?language={name}" lang="{name}" hreflang="{name}">{shown}</a>'
        for name, shown in LANGUAGES.items()
        if name != language
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>"
        f"<nav>{others}</nav><main><h1>{_text(title)}</h1>{''.join(body)}</main>"
        f"<footer><small>{say(language, 'As of')} {_text(time)}. {say(language, 'Times are UTC.')}</small></footer>"
        "</body></html>"
    ).encode()
