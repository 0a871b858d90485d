"""A kind in plain words, for the terminal: what it is, its fields, its life, in English or Chinese."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from appliance.letters.kind import BEGUN, SETS, Bilingual, Condition, Event, Field, Kind, LoadedKind, Move, Term
from appliance.quoting import escape


def _default(struct: type[msgspec.Struct], member: str) -> object:
    return next(one.default for one in msgspec.structs.fields(struct) if one.name == member)


_TYPES = {
    "text": ("text", "文本"),
    "money": ("money", "金额"),
    "integer": ("integer", "整数"),
    "decimal": ("decimal", "小数"),
    "date": ("date", "日期"),
    "time": ("time", "时间"),
    "choice": ("choice", "选项"),
    "yes-no": ("yes or no", "是否"),
    "digest": ("digest", "摘要"),
    "party": ("party", "当事人"),
    "letter": ("letter", "函件"),
    "table": ("table", "表格"),
}
_MOVES = {
    "open": ("it opens", "开立"),
    "raise": ("it is raised", "增加"),
    "lower": ("it is lowered", "减少"),
    "close": ("what is left ends", "余额了结"),
    "split": ("it goes to new letters", "转入新函件"),
}
_CONFIDENTIALITY = {
    "clear": ("", ""),
    "hidden": ("hidden: only its salted hash is sealed", "隐藏：仅封存加盐摘要"),
    "recipients": ("encrypted to its recipients", "加密给指定接收方"),
    "veiled": ("veiled until released", "封存至揭示"),
}

_LONGEST = _default(Field, "longest")
_PAGES = _default(Kind, "template"), _default(Kind, "languages")
"""What goes without saying."""


def describe(loaded: LoadedKind, language: str = "en") -> str:
    """Several lines, without a trailing newline."""
    return "\n".join(_lines(loaded, 1 if language == "zh" else 0))


def _voice(place: int) -> tuple[Callable[..., str], Callable[[Bilingual], str]]:
    """What picks of words, and of a label, those of a language."""
    return lambda *words: words[place], lambda label: (label.en, label.zh)[place]


def _lines(loaded: LoadedKind, place: int) -> Iterator[str]:
    kind = loaded.kind

    say, of = _voice(place)
    version = say(f"version {kind.version}", f"第{kind.version}版")
    yield f"{of(kind.title)}  ({kind.id}, {version})"
    yield of(kind.about)
    yield f"{say('digest', '文件摘要')} {loaded.digest}"
    if kind.rows:
        yield f"{say('serves', '适用系统')} {', '.join(kind.rows)}"
    yield ""
    yield say("Fields", "字段")
    for name, field in kind.fields.items():
        yield f"  {name:<18} {of(field.label)}: {_field(field, place)}"
    yield ""
    yield say("States", "状态")
    for name, state in kind.states.items():
        yield f"  {name:<18} {of(state.title)}{say(' (final)', '（终态）') if state.final else ''}"
    yield ""
    yield say("Events", "事件")
    for name, event in kind.events.items():
        first, *rest = describe_event(event, ("en", "zh")[place], kind)
        yield f"  {name:<18} {of(event.title)}: {first}"
        for line in rest:
            yield f"  {'':<18}   {line}"
    yield ""
    yield from _rules(kind, place)


def describe_rules(kind: Kind, language: str = "en") -> list[str]:
    """What holds for all its letters, whatever happens to them, a line each."""
    return list(_rules(kind, 1 if language == "zh" else 0))


def _rules(kind: Kind, place: int) -> Iterator[str]:
    # Names that lead nowhere stand as they are: whoever reads a proposal may have one that no box would take.
    say, of = _voice(place)
    if kind.value is not None:
        rule = {"balance": ("a balance", "余额"), "divisible": ("divisible", "可拆分")}[kind.value.rule][place]
        amount = kind.fields.get(kind.value.amount)
        said = kind.value.amount if amount is None else of(amount.label)
        yield f"{say('Its value', '价值')}: {said}, {rule}"
    for name, unique in kind.unique.items():
        scope = "" if unique.scope == "tenant" else f" {say('in', '范围')} {unique.scope}"
        share = f"; {say('shared up to', '共享额度')} {unique.capacity}" if unique.capacity else ""
        again = ", ".join(of(kind.states[one].title) if one in kind.states else one for one in unique.free_in)
        free = f"; {say('free again in', '释放于')} {again}" if unique.free_in else ""
        yield f"{say('Only once', '唯一性')} {name}: {' + '.join(unique.fields)}{scope}{share}{free}"
    for name, quota in kind.quotas.items():
        by = f" {say('by', '按')} {quota.by}" if quota.by else ""
        at = f" {say('at', '于')} {', '.join(quota.events)}" if quota.events else ""
        of_what = f" {say('of', '取')} {quota.amount}" if quota.amount else ""
        group = f" {say('in', '组')} {quota.group}" if quota.group else ""
        how = f"{quota.measure}{of_what}, {quota.period}{by}{at}{group}"
        yield f"{say('Counted', '额度')} {name}: {of(quota.title)} ({how})"
    if kind.metered_by is not None:
        yield f"{say('Metered for', '计费对象')} {kind.metered_by}"
    if kind.public:
        told = ", ".join(kind.public)
        yield say(
            f"Public to whoever has its code and {kind.second}: {told}", f"公开查验，凭编号与 {kind.second}：{told}"
        )
    if kind.pair is not None:
        pair, since = " + ".join(kind.pair.fields), kind.pair.from_
        yield say(
            f"Found without its code by {pair}" + ("" if since is None else f"; from {since}"),
            f"无编号查验，凭 {pair}" + ("" if since is None else f"；起始时间 {since}"),
        )
    if (kind.template, kind.languages) != _PAGES:
        spoken = ", ".join(kind.languages)
        yield say(f"Pages as {kind.template}, in {spoken}", f"页面版式 {kind.template}，语言 {spoken}")
    zone, years = kind.zone, kind.retention_years
    yield say(
        f"Dates of the zone {zone}; {years} years of keeping promised", f"日期按时区 {zone}；机构承诺保存 {years} 年"
    )


def describe_event(event: Event, language: str = "en", kind: Kind | None = None) -> list[str]:
    """From which state to which, by whom, and what it needs, a line each. States have their titles where the kind is
    given, else their names."""
    place = 1 if language == "zh" else 0
    states = {} if kind is None else {name: (one.title.en, one.title.zh)[place] for name, one in kind.states.items()}
    begin = ", ".join(states.get(name, name) for name in event.from_) or ("begins a letter", "起始")[place]
    after = ("same state", "状态不变")[place] if event.to is None else states.get(event.to, event.to)
    return [f"{begin} -> {after}; {('by', '由')[place]} {' / '.join(event.by)}", *_event(event, place, states)]


def describe_field(field: Field, language: str = "en") -> str:
    """Its type and its limits, in one line."""
    return _field(field, 1 if language == "zh" else 0)


def _field(field: Field, place: int) -> str:
    parts = [_TYPES[field.type][place]]
    if field.currencies:
        parts.append(" ".join(field.currencies))
    if field.choices:
        parts.append(" / ".join(f"{name} ({(label.en, label.zh)[place]})" for name, label in field.choices.items()))
    if field.columns:
        parts.append("(" + "; ".join(_labelled(name, one, place) for name, one in field.columns.items()) + ")")
    if field.least is not None:
        parts.append(f">= {field.least}")
    if field.most is not None:
        parts.append(f"<= {field.most}")
    if field.pattern is not None:
        parts.append(escape(field.pattern))
    if field.longest != _LONGEST:
        rows = field.type == "table"
        parts.append(
            (
                (f"at most {field.longest} {'rows' if rows else 'characters'}"),
                f"至多 {field.longest} {'行' if rows else '字'}",
            )[place]
        )
    if field.term is not None:
        parts += _term(field.term, place)
    if field.identified:
        parts.append(("with its id", "须有标识")[place])
    if not field.required:
        parts.append(("not required", "非必填")[place])
    if field.confidentiality != "clear":
        parts.append(_CONFIDENTIALITY[field.confidentiality][place])
    return ", ".join(parts)


def _labelled(name: str, field: Field, place: int) -> str:
    return f"{name}, {(field.label.en, field.label.zh)[place]}: {_field(field, place)}"


def _term(term: Term, place: int) -> Iterator[str]:
    begin = ("it began", "起始之日")[place] if term.after == BEGUN else term.after
    for period, said in ((term.least, ("at least", "至少")), (term.most, ("at most", "至多"))):
        if period is not None:
            yield (f"{said[0]} {period} after {begin}", f"自{begin}起{said[1]} {period}")[place]


def _move(move: Move, place: int, states: Mapping[str, str]) -> str:
    said = _MOVES[move.move][place]
    if move.amount is not None:
        said += (f" by {move.amount}", f" {move.amount}")[place]
    if move.parts is not None:
        said += (f", one a row of {move.parts}", f"，{move.parts} 每行一份")[place]
    if move.parts_state is not None:
        said += f" -> {states.get(move.parts_state, move.parts_state)}"
    if move.emptied:
        said += f" ({('nothing left', '余额为零')[place]} -> {states.get(move.emptied, move.emptied)})"
    return said


def _condition(condition: Condition, place: int) -> Iterator[str]:
    kinds, among = " / ".join(condition.kinds), " / ".join(condition.states)
    end = condition.not_after
    yield (f"waits for {condition.letter}: {kinds} in {among}", f"须 {condition.letter}（{kinds}）处于 {among}")[
        place
    ] + ("" if end is None else (f", its {end} not past", f"，其 {end} 未过")[place])
    for own, theirs in condition.same.items():
        yield f"  {own} equal {theirs}"
    for one in condition.compare:
        yield f"  {one.own} {one.is_} {one.theirs}" + (f" ({' / '.join(one.of)})" if one.of else "")
    if condition.serves is not None:
        name, most, each = condition.serves.name, condition.serves.at_most, condition.serves.each
        yield (f"  serves as {name}: at most {most}", f"  用于 {name}：至多 {most}")[place] + (
            "" if each is None else (f", each by its {each}", f"，每次计 {each}")[place]
        )


def _event(event: Event, place: int, states: Mapping[str, str]) -> Iterator[str]:
    for role, whose in event.acts_for.items():
        name = whose.removeprefix(SETS)
        if name != whose:
            yield (f"{role}: only who acts for the {name} that it sets", f"{role}：仅限代表所设置的 {name} 的应用")[
                place
            ]
        else:
            yield (f"{role}: only who acts for its {name}", f"{role}：仅限代表 {name} 的应用")[place]
    if event.data:
        yield ("needs: ", "数据：")[place] + " + ".join(_labelled(name, one, place) for name, one in event.data.items())
    if event.fields:
        yield ("sets: ", "设置：")[place] + ", ".join(event.fields)
    if event.value is not None:
        yield ("value: ", "价值：")[place] + _move(event.value, place, states)
    if event.not_before is not None:
        yield ("not before ", "不早于 ")[place] + event.not_before
    if event.not_after is not None:
        yield ("not after ", "不晚于 ")[place] + event.not_after
    if event.opens:
        yield ("opens: ", "揭示：")[place] + ", ".join(event.opens)
    for condition in event.conditions:
        yield from _condition(condition, place)
    if event.automatic:
        yield ("the box does it by itself", "到时由系统自动执行")[place]
    if event.refusal == "sealed":
        yield ("a refusal is sealed", "拒绝时出具签章回执")[place]
    for name in event.receipts:
        yield (f"receipt of {name}", f"附 {name} 回执")[place]
    if event.seals_document is not None:
        order, own = event.seals_document.order, event.seals_document.own
        yield (
            f"seals the PDF of {event.seals_document.digest} as {own}; order: {' -> '.join(order)}",
            f"以 {own} 身份在 {event.seals_document.digest} 所指 PDF 上签章；次序：{' -> '.join(order)}",
        )[place]
    if event.approvals is not None:
        for tier in event.approvals.tiers:
            who = " -> ".join(step.policy for step in tier.steps) or ("nobody", "无需审批")[place]
            amount = f"{('up to', '至')[place]} {tier.up_to} {tier.currency}" if tier.up_to else tier.currency or ""
            goes_by = f"{event.approvals.amount} " if event.approvals.amount else ""
            yield (f"approved by {who}", f"审批：{who}")[place] + (f" ({goes_by}{amount})" if amount else "")
