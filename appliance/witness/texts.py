"""The words of the witness's pages, in English and Simplified Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["en", "zh-Hans"]
LANGUAGES: Final[Mapping[Language, str]] = {"en": "English", "zh-Hans": "简体中文"}

_CHINESE: Final[Mapping[str, str]] = {
    "Witness of transparency logs": "透明日志见证方",
    "Every log is as this witness last cosigned it.": "各日志均为本见证方最近一次副署时的状态。",
    "Nothing of some logs is cosigned until a person decides.": "部分日志在人工决定之前不予副署。",
    "Log": "日志",
    "State": "状态",
    "Entries": "条目数",
    "Last cosigned": "最近副署",
    "Cosigned": "副署次数",
    "Refused": "拒绝次数",
    "Published": "公开状态",
    "current": "正常",
    "silent": "沉默",
    "not-seen": "尚未出现",
    "forked": "分叉",
    "state-lost": "见证状态丢失",
    "cosigned": "与副署一致",
    "behind": "落后于副署",
    "refused": "被拒绝",
    "unreachable": "无法访问",
    "malformed": "格式错误",
    "tiles-wrong": "数据块与根不符",
    "Forks": "分叉",
    "No log has forked.": "没有日志分叉。",
    "Found": "发现时间",
    "Decided": "决定",
    "open": "未决",
    "Decisions": "人工决定",
    "Reason": "理由",
    "evidence": "证据",
    "Keys of this witness": "本见证方的密钥",
    "As of": "截至",
    "Root": "根哈希",
    "Days": "每日",
    "Day": "日期",
    "All logs": "全部日志",
    "Signed head": "签名的树头",
    "Reasons of refusals": "拒绝原因",
    "Times are UTC.": "时间均为协调世界时（UTC）。",
    "As JSON": "JSON 格式",
    "Nothing yet.": "暂无。",
}


def say(language: Language, english: str) -> str:
    """A text of the pages. Raises KeyError for one that is not translated."""
    return english if language == "en" else _CHINESE[english]


def language_of(query: str, accepted: str) -> Language:
    """What a reader asked for, by `language=` or by Accept-Language (RFC 9110, section 12.5.4): the first known one."""
    for name in LANGUAGES:
        if f"language={name}" in query.split("&"):
            return name
    for one in accepted.split(","):
        tag = one.partition(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-Hans"
        if tag.startswith("en"):
            return "en"
    return "en"
