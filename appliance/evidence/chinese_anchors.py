"""Words of judged anchors (appliance.evidence.letters.anchored) in Simplified Chinese."""

from __future__ import annotations

from typing import Final

ANCHORS: Final[dict[str, str]] = {
    "anchor on {0}": "账本 {0} 上的锚定",
    "anchor": "锚定",
    "ledger": "账本",
    "records": "记录",
    "name": "名称",
    "It is about the ledger {0} and a head of {1} entries, as its name says.":
        "它涉及账本 {0} 以及含 {1} 个条目的日志头，与其名称相符。",
    "Its name is of another ledger or head than what is in it.": "其名称所指的账本或日志头与其内容不符。",
    "It is about other events than those of this file.": "它涉及的事件不是本文件中的事件。",
    "The record of event {0} is not in the file.": "事件 {0} 的记录不在文件中。",
    "Contradiction: the tenant's log, as the box's own log commits to it, has this record in another place than its "
    "log proof: it has two histories.":
        "矛盾：设备自身的日志所承诺的租户日志，将此记录置于与其日志证明不同的位置：该日志有两个历史。",
    "Contradiction: the tenant's log, as the box's own log commits to it, has another head of the same size than its "
    "log proof: it has two histories.":
        "矛盾：设备自身的日志所承诺的租户日志，与其日志证明大小相同而日志头不同：该日志有两个历史。",
    "The cosignatures state a time that is still to come, so they show none.":
        "共签声明的时间尚未到来，因此不证明任何时间。",
    "It is not text.": "它不是文本。",
    "There are more anchors than a box puts into a file.": "锚定多于设备写入文件的数量。",
    "Event {0}: {1}": "事件 {0}：{1}",
    "Nothing is trusted of the ledger {0}: its receipt was not looked at.": "未信任账本 {0}：未查验其回执。",
    "Nothing is trusted of {0}: its receipt was not looked at.": "未信任{0}：未查验其回执。",
    "The receipt of {0} is refused, {1}.": "{0}的回执被拒绝，{1}。",
    "It is proven that {0} holds the head ({1}): {2}.": "已证明{0}载有该日志头（{1}）：{2}。",
    "It is attested, not proven, that {0} holds the head ({1}): {2}.":
        "{0}载有该日志头一事仅有声明，未经证明（{1}）：{2}。",
    "the ledger {0}": "账本 {0}",
    "the ledger {0}, {1}": "账本 {0}，{1}",
    "{0}, at {1}; the head existed no later than {2}": "{0}，时间 {1}；该日志头最迟存在于 {2}",
    "The time-stamp states no accuracy.": "时间戳未声明精度。",
    "time-stamp {0} of “{1}”": "“{1}”的时间戳 {0}",
    "block {0}": "区块 {0}",
    "time stamp": "时间戳",
    "proof of work": "工作量证明",
    "validator seals": "验证者封签",
    "trusted header": "受信任的区块头",
    "node": "节点的声明",
    "proven": "已证明",
    "attested": "仅有声明",
    "refused": "被拒绝",
    "unknown": "未知",
    "Ledgers": "账本",
    "Ledger": "账本",
    "Shown": "证明程度",
    "By": "依据",
    "Place": "位置",
    "Ledger's time": "账本时间",
}  # fmt: skip
"""What is said of anchors, and what stands around it."""
