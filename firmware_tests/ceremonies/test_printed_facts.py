"""What steps left, on paper: every fact of ours has its label in both languages; nothing is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.ceremonies.outcome_texts import EMPTY, LABELS, VALUES, WORDS
from appliance.ceremonies.printed_facts import told
from firmware_tests.ceremonies.golden_facts import GOLDEN, facts_in


def texts_in(found: Any) -> Iterator[str]:
    """Every value that is a text."""
    if isinstance(found, dict):
        for one in found.values():
            yield from texts_in(one)
    elif isinstance(found, list):
        for one in found:
            yield from texts_in(one)
    elif isinstance(found, str):
        yield found


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_fact_of_the_golden_runs_is_printed_with_its_label(path: Path) -> None:
    values = {value: pair for (_, value), pair in VALUES.items()}
    for facts in facts_in(json.loads(path.read_text())):
        lines = told(facts)
        assert not [label for label, _, _ in lines if "_" in label]
        on_paper = "\n".join(f"{label} {value}" for label, value, _ in lines)
        for text in texts_in(facts):
            assert text in on_paper or "  ".join(values[text]) in on_paper, text
        assert not set("{}[]'") & set(on_paper.replace("<", "").replace(">", ""))


def test_every_word_is_there_in_both_languages() -> None:
    for table in (LABELS, VALUES, EMPTY, WORDS):
        for english, chinese in table.values():
            assert english.isascii() or "’" in english
            assert chinese == "SHA-256" or not chinese.isascii()


def test_values_keep_their_characters_and_parts_stand_below() -> None:
    digest = "ab" * 32
    facts = {
        "affected": {"records": 2, "query": {"log": "@box", "from_time": 1_795_345_200_000_001}},
        "custodians": [{"person": "ann", "index": 1, "handed_out": "console"}],
        "keys": [digest, digest],
        "names": ["a\nb", "\u202e"],
        "settled": [],
        "signature_limit": None,
        "to_be_signed": digest,
    }
    assert told(facts) == [
        ["Keys  密钥", f"{digest}\n{digest}", 0],
        ["names", "a⟨U+000A⟩b, ⟨U+202E⟩", 0],
        ["Objects that nobody explained, put right  已处理的来历不明对象", "none  无", 0],
        ["Signatures, at most  签名次数上限", "no limit  无限制", 0],
        ["Signed content, SHA-256  待签内容 SHA-256", digest, 0],
        ["What it signed since then  此后签署的内容", "", 0],
        ["Records  记录", "2", 1],
        ["Search that lists them  列出它们的查询条件", "", 1],
        ["From  从", "2026-11-22T11:00:00.000001Z", 2],
        ["Log  日志", "the box  本机", 2],
        ["Custodians  保管人", "", 0],
        ["ann", "", 1],
        ["Handed over  交付方式", "at the console  在控制台交付", 2],
        ["Share  份额", "1", 2],
    ]
