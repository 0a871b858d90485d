"""The words of reports in Simplified Chinese: algorithms that have ended, and records over whole evidence files."""

from __future__ import annotations

from typing import Final

RENEWAL: Final[dict[str, str]] = {
    "{0}: {1} may be relied on until {2}, and this is shown to have existed at {3}.":
        "{0}：{1} 的可信截止时间为 {2}，而此项已证明存在于 {3}。",
    "{0}: {1} may be relied on until {2}, and nothing shows that this existed before.":
        "{0}：{1} 的可信截止时间为 {2}，而没有任何材料证明此项此前已存在。",
    "The time-stamp's signature": "时间戳的签名",
    "The time-stamp's digest": "时间戳的摘要",
    "The seal's signature": "签章的签名",
    "The seal of the document inside it": "签章对其内部文件的签名",
    "The card's signature": "卡片的签名",
    "The certificate of “{0}”": "“{0}”的证书",
    "The digest of “{0}”": "“{0}”的摘要",
    "The log": "日志",
    "The ledger's receipt": "账本的回执",
    "The evidence record's hash tree": "证据记录的哈希树",
    "The manifest and the chain of events": "清单与事件链",
    "The digests of the renewal": "续期的摘要",
    "renewal {0} of the file": "文件的第 {0} 次续期",
    "{0} entries of the file are, byte for byte, in the tree that was stamped.":
        "文件的 {0} 个条目逐字节包含在已加盖时间戳的哈希树中。",
    "An entry is not the one that the renewal's manifest names: it was changed after it was renewed.":
        "某一条目不是续期清单所列的条目：它在续期之后被更改。",
    "The evidence record is not over the entries that its manifest names: {0}.":
        "证据记录所涵盖的不是其清单所列的条目：{0}。",
    "Renewal {0} of the file is not there, or without its manifest.": "文件的第 {0} 次续期不存在，或缺少其清单。",
    "{0} names what is not there, or in another order than the file's.":
        "{0} 列出了文件中没有的条目，或次序与文件不同。",
    "{0} names itself or its own record.": "{0} 列出了自身或其自己的记录。",
    "The file was renewed more often than one may be.": "文件的续期次数超过允许的次数。",
    "Renewals": "续期",
    "Hash": "哈希算法",
    "Entries": "条目数",
    "Said by": "声明方",
    "Renewed at {0} under {1}, by {2}": "于 {0} 以 {1} 续期，依据{2}",
    "{0} with {1} bits": "{1} 位的 {0}",
}  # fmt: skip
