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
    "The evidence record's hash tree": "证据记录的哈希树",
    "{0} with {1} bits": "{1} 位的 {0}",
}  # fmt: skip
