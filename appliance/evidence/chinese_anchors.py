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
    "Contradiction: the tenant's log, as the box's own log commits to it, has this record in another place than the "
    "file's other proofs: it has two histories.":
        "矛盾：设备自身的日志所承诺的租户日志，将此记录置于与文件中其他证明不同的位置：该日志有两个历史。",
    "Contradiction: the tenant's log, as the box's own log commits to it, has another head of the same size than the "
    "file's other proofs: it has two histories.":
        "矛盾：设备自身的日志所承诺的租户日志，与文件中其他证明大小相同而日志头不同：该日志有两个历史。",
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
    "{0}, at {1}; this shows no time": "{0}，时间 {1}；这不证明任何时间",
    "The time-stamp states no accuracy.": "时间戳未声明精度。",
    "time-stamp {0} of “{1}”": "“{1}”的时间戳 {0}",
    "block {0}, transaction {1}": "区块 {0}，交易 {1}",
    "block {0}": "区块 {0}",
    "{0} signers stand behind the block.": "{0} 个签名者为该区块背书。",
    "{0} validators committed to the block.": "{0} 个验证者确认了该区块。",
    "Block {0}, which the profile trusts, is this block.": "配置所信任的区块 {0} 即此区块。",
    "Block {0}, which the profile trusts, descends from this block.": "配置所信任的区块 {0} 是此区块的后代。",
    "No block that the profile trusts descends from this one.": "配置所信任的区块均不是此区块的后代。",
    "That the block is the chain's is the node's word.": "该区块属于该链，仅为节点的说法。",
    "The transaction is signed by the account; that it is in the block, and when that was, is the node's word.":
        "交易由该账户签名；其在区块之内及其时间，仅为节点的说法。",
    "The block {0} is trusted.": "区块 {0} 受信任。",
    "Its headers took about 2^{0} hashes.": "其区块头约耗费 2^{0} 次哈希。",
    "Its headers took about 2^{0} hashes, most of them in too few headers: luck proves nothing.":
        "其区块头约耗费 2^{0} 次哈希，但多集中于过少的区块头：侥幸不足为证。",
    "Its headers took about 2^{0} hashes, fewer than the profile asks for.":
        "其区块头约耗费 2^{0} 次哈希，少于配置的要求。",
    "The profile lets no work prove: on this chain anybody can make blocks.":
        "配置不以工作量为证明：此链上任何人均可制作区块。",
    "Anchoring on Hyperledger Fabric has not yet run on a real network.":
        "在 Hyperledger Fabric 上的锚定尚未在真实网络上运行过。",
    "Endorsed by peers of {0}. That it was valid when it was committed is a peer's word.":
        "由 {0} 的节点背书。其提交时有效，仅为某一节点的说法。",
    "One orderer may sign in the name of all: that there is no other block of that number is its word.":
        "一个排序节点可代表全体签署：该编号没有其他区块，仅为其说法。",
    "The time is the word of whoever anchored: no organisation looked at it. What the signatures show is only that it "
    "was made before the first of the signers' certificates ended.":
        "时间仅为锚定方的说法：没有组织核对过。签名只能证明它作于签名者证书中最早到期者到期之前。",
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
