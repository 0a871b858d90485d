"""The rules that hold between the parts of a kind, in words: what a finding says, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

RULES: Final[Mapping[str, tuple[str, str]]] = {
    # what the file's schema says
    "schema": ("{said}", "不符合种类文件的格式：{said}"),
    # names
    "no-such-field": ("there is no field {name}", "没有字段 {name}"),
    "no-such-state": ("there is no state {name}", "没有状态 {name}"),
    "no-such-member": ("only a party has members: {name}", "只有当事人类型的字段才有成员：{name}"),
    "named-twice": ("{name} stands here twice", "{name} 在此重复出现"),
    "wrong-type": ("{name} is a {found}; it must be a {wanted}", "{name} 的类型是 {found}，必须是 {wanted}"),
    "not-clear": (
        "{name} is {found}: the box must be able to read it, so it must be clear",
        "{name} 为 {found}：系统必须能读取，须为明文 clear",
    ),
    "not-in-order": ("{name} is not among those who seal: `order`", "{name} 不在签章次序 `order` 之中"),
    "not-required": (
        "{name} is not required: where it is missing this would not hold, or never happen",
        "{name} 不是必填项：缺少时此规则落空或事件无法发生",
    ),
    # fields
    "label-long": (
        "{length} characters do not fit a form; at most {most}",
        "{length} 个字符超出表单宽度，至多 {most} 个",
    ),
    "label-unclean": ("{said}", "文字不规范：{said}"),
    "not-for-type": ("{member} means nothing for {type}", "{member} 对类型 {type} 没有意义"),
    "no-choices": ("a choice has choices", "choice 类型须列出选项 choices"),
    "no-columns": ("a table has columns", "table 类型须列出列 columns"),
    "table-within": ("a table holds no table", "表格中不能再有表格"),
    "part-not-clear": (
        "what an event and a table hold is clear; keep what is confidential in a field of the letter",
        "事件数据和表格单元为明文；需保密的内容应放在函件的字段中",
    ),
    "bad-limit": ("{text} is no {type}: {said}", "{text} 不是合法的 {type}：{said}"),
    "limits-crossed": ("least {least} is above most {most}", "least {least} 大于 most {most}"),
    "currency-unknown": ("the box knows no currency {name}", "系统不认识币种 {name}"),
    "pattern-refused": (
        "the pattern cannot be run safely on any text: {said} at character {place}",
        "该模式无法对任意文本安全运行：第 {place} 个字符，{said}",
    ),
    "field-unset": ("no event sets it", "没有事件设置此字段"),
    # verification by the public
    "no-second": ("what is public is shown only with a second field", "公开查验须指定第二要素 second"),
    # uniqueness and quotas
    "id-optional": (
        "{name}.id may be missing, and then nothing is held: give {name} `identified = true`",
        "{name}.id 可能缺失，届时规则落空：请为 {name} 设置 `identified = true`",
    ),
    "capacity-without-balance": (
        'letters share a capacity by their balance: the kind needs value.rule = "balance"',
        '按余额共享容量：种类须设 value.rule = "balance"',
    ),
    "freed-with-parts": (
        "{name} is reached after a split: its parts live on while the origin's claim would be free",
        "{name} 可在拆分后到达：子凭证仍然有效，而原凭证的占用却被释放",
    ),
    "unique-after-split": (
        "{name} is unique, and a part holds nothing: it must stay what it was when the letter was split",
        "{name} 须唯一，而子凭证不占用任何值：拆分后不得再改变",
    ),
    "party-whole": (
        "a party can be spelled with its id and without: name {name}.id, or {name}.name",
        "当事人可带也可不带标识：请写明 {name}.id 或 {name}.name",
    ),
    "capacity-currencies": (
        "{name} and {other} must each allow exactly one currency, and the same: {name} is used up by {other}",
        "{name} 与 {other} 须各只允许同一个币种：{name} 由 {other} 占用",
    ),
    "measure-without-value": ("the kind has no value to measure", "该种类没有价值可计量"),
    "no-such-event": ("there is no event {name}", "没有事件 {name}"),
    "counted-outstanding": (
        "events are counted in a window of time: what is outstanding is what letters are worth",
        "按事件计数须有时间窗口：余额 outstanding 取自函件价值",
    ),
    "counts-no-event": (
        '`amount` is of events: name them, with measure = "value"',
        'amount 取自事件数据：请列出 events，并设 measure = "value"',
    ),
    "event-moves-nothing": (
        "{name} moves no value: name the money field of its data in `amount`",
        "{name} 不改变价值：请在 amount 中指明其数据中的金额字段",
    ),
    "counter-differs": (
        "{kind} counts otherwise under this name: one counter has one measure and period, and counts by somebody or"
        " nobody",
        "{kind} 以此名称的计量方式不同：同一计数须使用相同的 measure 与 period，并一致地按对象或不按对象计数",
    ),
    # life cycle
    "no-beginning": ("no event begins a letter: one must have no `from`", "没有起始事件：须有一个不带 from 的事件"),
    "beginning-without-state": ("an event that begins a letter names its state in `to`", "起始事件须用 to 指明状态"),
    "beginning-lacks": (
        "it begins a letter and does not set {name}, which is required",
        "起始事件未设置必填字段 {name}",
    ),
    "unreachable": ("no chain of events leads here", "没有事件链可以到达此状态"),
    "final-with-events": ("{name} is final, and yet {event} may happen in it", "{name} 为终态，却仍可发生 {event}"),
    "no-way-out": (
        "no event leads out of it; say `final = true` if that is meant",
        "没有事件可离开此状态；若为终态请写 final = true",
    ),
    "never-ends": (
        "a circle without end: {circle}; no chain of events leads from here to a final state",
        "无尽循环：{circle}；从此状态无法到达终态",
    ),
    "own-limit": (
        "the event sets {name} itself, so it would say when it may happen",
        "事件自己设置了 {name}，等于自行决定何时可以发生",
    ),
    "role-unusable": (
        "nobody can be given the permission role-{name}: lower-case letters, digits and hyphens, at most {most}",
        "无法授予权限 role-{name}：仅限小写字母、数字与连字符，至多 {most} 个字符",
    ),
    "acts-for-nobody": ("{name} is not among the event's roles: `by`", "{name} 不在该事件的角色 `by` 之中"),
    "acts-for-unset": ("the event does not set {name}", "该事件未设置 {name}"),
    # value
    "value-without-rule": ("the kind has no [value]", "该种类没有 [value]"),
    "value-never-opened": ("no event opens the value", "没有事件开立价值（open）"),
    "split-not-divisible": ('only value.rule = "divisible" may be split', '只有 value.rule = "divisible" 才能拆分'),
    "move-needs": ("{move} needs {member}", "{move} 须有 {member}"),
    "move-takes-no": ("{move} takes no {member}", "{move} 不需要 {member}"),
    "amount-opened-later": (
        "it may happen in {state}, where the value is open: face and balance would differ; use raise or lower",
        "可在价值已开立的状态 {state} 发生，票面将与余额不符；请用 raise 或 lower",
    ),
    "opened-twice": ("it may happen in {state}, where the value is open already", "可在价值已开立的状态 {state} 发生"),
    "not-open-yet": (
        "it may happen in {state}, where the value may not be open yet",
        "可在价值尚未开立的状态 {state} 发生",
    ),
    "ended-already": ("it may happen in {state}, where the value may have ended", "可在价值已了结的状态 {state} 发生"),
    "ends-with-value": (
        'it leads from {state} to {to}, which is final, with value left: move = "close" says that it ends',
        '由 {state} 进入终态 {to} 时仍有余额：请用 move = "close" 了结',
    ),
    "no-amount-column": ("its parts need a required money column `amount`", "拆分表须有必填的 money 列 amount"),
    "column-differs": (
        "column {name} must be declared as the letter's field {name} is: {member} differs",
        "列 {name} 的定义须与函件字段 {name} 一致：{member} 不同",
    ),
    "column-no-field": ("column {name} is no clear field of the letter", "列 {name} 不是函件的明文字段"),
    # approvals
    "tier-without-currency": (
        "the approvals go by an amount: name the tier's currency",
        "按金额审批：须写明币种 currency",
    ),
    "tier-without-amount": (
        "without `amount` there is one tier, and it has neither end nor currency",
        "未指定 amount 时只能有一档，且不写 up_to 与 currency",
    ),
    "amount-any-currency": (
        "{name} may be in any currency: list those that have tiers in its `currencies`",
        "{name} 可为任意币种：请在 currencies 中列出设有档位的币种",
    ),
    "currency-without-tier": ("{currency} has no tier", "币种 {currency} 没有档位"),
    "tier-foreign": ("{name} is never in {currency}", "{name} 不会是 {currency}"),
    "tiers-fall": ("{up_to} is not above the tier before it ({before})", "{up_to} 不高于前一档（{before}）"),
    "tiers-end": (
        "the last tier of {currency} must be without end (no up_to)",
        "{currency} 的最后一档不得有上限 up_to",
    ),
    "tier-after-end": ("the tier before it has no end: this one is never used", "前一档没有上限，此档永不生效"),
    "tiers-relax": (
        "a larger amount needs fewer steps ({now}) than a smaller one ({before})",
        "金额更大而审批步骤更少（{now} 少于 {before}）",
    ),
    "policy-unusable": (
        "no approval policy can be called {name}: lower-case letters, digits and hyphens, none at the end",
        "审批策略不能命名为 {name}：仅限小写字母、数字与连字符，且不以连字符结尾",
    ),
    # conditions on other letters
    "condition-kind": ("there is no kind {name} among these", "这些种类中没有 {name}"),
    "condition-state": ("{kind} has no state {name}", "{kind} 没有状态 {name}"),
    "condition-field": ("{kind} has no clear field {name}", "{kind} 没有明文字段 {name}"),
    "condition-type": (
        "{name} is a {found}, and {other} of {kind} is a {wanted}",
        "{name} 为 {found}，而 {kind} 的 {other} 为 {wanted}",
    ),
    "waiting": (
        "it can never happen: {circle}",
        "永远无法发生：{circle}",
    ),
    "unique-differs": (
        "{kind} has this rule with its fields in another order, or by amount: the two would never meet",
        "{kind} 有同名规则，但字段次序不同，或一方按金额共享：两者永远不会相互核对",
    ),
    # terms, and what the box does and keeps by itself
    "term-elsewhere": ("a term stands with a field of the letter", "期限规则只用于函件的字段"),
    "term-without-end": ("a term has most, or least", "期限规则须有 most 或 least"),
    "automatic-needs": ("the box cannot bring {name}", "系统无法自行提供 {name}"),
    "automatic-when": (
        "what the box does by itself has not_before, and happens to a letter that is there",
        "系统自动执行的事件须有 not_before，且只用于已存在的函件",
    ),
    "name-kept": ("the box keeps names that begin so to itself: {name}", "此类开头的名称由系统保留：{name}"),
    # veil
    "second-moves": (
        "{name} is what the public is asked for: while fields are veiled it stays what it was",
        "{name} 是公开查验的第二要素：有封存字段的种类中不得更改",
    ),
    "veil-unbound": (
        "{name} is veiled, and its envelope is bound to its letter by `second`, which must name a text field:"
        " else it opens in anybody's letter",
        "{name} 为封存字段，其密文以 second 与函件绑定：second 须为文本字段，否则密文可移入他人的函件",
    ),
    "veil-again": ("{name} may have been opened before: it is not sealed again", "{name} 可能已揭示：不得再次封存"),
    "veil-unopened": ("no event opens it: it would stay veiled for ever", "没有事件揭示它：将永远封存"),
    "veil-weak": (
        "what opens veiled fields needs not_before, or approvals with a step in every tier",
        "揭示封存字段的事件须有 not_before，或每一档都有审批步骤",
    ),
    "veil-time-moved": (
        "it moves {name}, on which {event} waits, and nobody has to approve it in every tier",
        "它可更改 {event} 所等待的 {name}，却并非每一档都须审批",
    ),
    "opens-not-veiled": ("{name} is {found}, not veiled", "{name} 为 {found}，并非封存 veiled"),
    "opens-before-set": ("it may happen before {name} was set", "可能在 {name} 设置之前发生"),
    "opens-and-sets": ("an event that opens {name} does not set it too", "揭示 {name} 的事件不能同时设置它"),
}
"""By the rule's name: English, Chinese."""

PATTERN_REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "too-long": ("it is too long", "模式过长"),
    "too-deep": ("groups stand too deep in groups", "分组嵌套过深"),
    "unopened": ("a bracket closes that did not open", "多余的右括号"),
    "unfinished": ("it ends too early", "模式不完整"),
    "extension": ("only ( and (?: begin a group", "分组只能以 ( 或 (?: 开始"),
    "anchor": ("^ and $ are not needed, it is always compared with the whole value", "无需 ^ 与 $，始终匹配整个值"),
    "special": ("write a backslash before this sign", "此符号前须加反斜线"),
    "escape": (
        "a backslash stands only before a punctuation mark; write [0-9] in place of \\d",
        "反斜线只能用于标点之前；请用 [0-9] 代替 \\d",
    ),
    "backwards": ("a range runs backwards", "字符范围颠倒"),
    "twice-repeated": ("one repetition follows another", "重复符号连续出现"),
    "braces": ("braces hold {n}, {m,n} or {m,} of at most 1000", "花括号内为 {n}、{m,n} 或 {m,}，至多 1000"),
    "ambiguous-choice": (
        "two alternatives can begin alike, or a space between them is empty",
        "两个备选项可能以相同字符开始，或有空的备选项",
    ),
    "empty-repeated": ("what is repeated may be empty", "被重复的部分可能为空"),
    "ambiguous-repeat": (
        "what is repeated can begin like what follows it, so the next character does not say when to stop",
        "被重复的部分与其后续可能以相同字符开始，无法由下一字符判断何时停止",
    ),
}


class Finding(NamedTuple):
    """Something that does not hold. `path`: the place in the TOML file, `events.issue.approvals.tiers[1].up_to`."""

    path: str
    rule: str
    values: Mapping[str, str | tuple[str, str]]
    """What the rule's words name; a pair: English, Chinese."""

    def words(self, language: str = "en") -> str:
        """One sentence in "en" or "zh", without the path."""
        place = 1 if language == "zh" else 0
        values = {name: one[place] if isinstance(one, tuple) else one for name, one in self.values.items()}
        return RULES[self.rule][place].format(**values)

    def __str__(self) -> str:
        return f"{self.path}: {self.words()}"


def finding(path: str, rule: str, **values: str | tuple[str, str]) -> Finding:
    """A finding of a rule that stands in RULES."""
    return Finding(path, rule, values)
