"""The evidence of a letter, checked offline: its container, its seals and records, and the chain of its events."""

from appliance.evidence.letters.facts import LetterFacts
from appliance.evidence.letters.judge import JudgedLetter, judge_letter

__all__ = ["JudgedLetter", "LetterFacts", "judge_letter"]
