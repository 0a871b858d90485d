"""What an approver signs, in plain words: made from the bytes that are signed, and from nothing else. Pure.

A kind only lends its labels, and only the very kind that the draft names by its digest. Disclosures tell hidden values,
and only those whose digests the draft has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from appliance.letters.errors import DisclosureRefused, EventDamaged
from appliance.letters.event import APPROVAL_PREFIX, FIRST_APPROVAL_PREFIX, ApprovalStep, Event, read_event
from appliance.letters.hidden import digest_of, read_disclosure
from appliance.letters.kind import Bilingual, LoadedKind
from appliance.quoting import escape

Language = Literal["en", "zh"]

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "asks": ("Application {application} of {tenant} asks that this happens:", "{tenant} 的应用 {application} 请求："),
    "decides": (
        "You approve step {step} of it, under the approval policy {policy}.",
        "您审批的是其中第 {step} 步，依据审批策略 {policy}。",
    ),
    "limits": (
        "You approve step {step} of it, under the approval policy {policy}: that it goes above the limit {limits}.",
        "您审批的是其中第 {step} 步，依据审批策略 {policy}：准予超出限额 {limits}。",
    ),
    "box": ("Box", "设备"),
    "kind": ("Kind of letter", "函件种类"),
    "digest": ("Digest of the kind", "种类摘要"),
    "event": ("Event", "事件"),
    "letter": ("Letter", "函件"),
    "number": ("Event number", "事件序号"),
    "previous": ("It follows the event", "前一事件"),
    "first": ("none: it begins the letter", "无：本事件开立函件"),
    "state": ("State of the letter then", "此后状态"),
    "value": ("What happens to its value", "价值变动"),
    "open": ("it opens with {amount}", "开立 {amount}"),
    "raise": ("raised by {amount}", "增加 {amount}"),
    "lower": ("lowered by {amount}", "减少 {amount}"),
    "close": ("what is left ends: {amount}", "终止余额 {amount}"),
    "split": ("{amount} goes to new letters", "{amount} 拆分至新函件"),
    "part": ("New letter", "新函件"),
    "sealed": ("Encrypted, SHA-256 of the envelope", "密文，信封 SHA-256"),
    "hidden": ("Hidden, not told to you", "隐藏，未向您披露"),
    "receipt": ("Receipt of {registry}, number {number}, SHA-256", "{registry} 回执，编号 {number}，SHA-256"),
    "reference": ("It rests on letter {letter}, {state}, head", "依据函件 {letter}，状态 {state}，最新事件"),
    "unlabelled": (
        "(the kind is not at hand: names stand as the draft has them)",
        "（未取得该种类文件：名称按草稿原样显示）",
    ),
}


_read_step = msgspec.json.Decoder(ApprovalStep).decode


def read_approval_text(text: bytes) -> tuple[ApprovalStep, Event]:
    """The step that it decides, and the draft. Raises EventDamaged for what no approver should sign."""
    if not text.startswith(APPROVAL_PREFIX):
        raise EventDamaged("not the text of an approval")
    line, _, draft = text.removeprefix(APPROVAL_PREFIX).partition(b"\n")
    try:
        step = _read_step(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventDamaged(f"not a step of an event: {error}") from None
    event = _draft(draft)
    if event.format == "cinnabar-event/1" or step.heading() + draft != text:
        raise EventDamaged("not the text of an approval in its canonical form")
    return step, event


def read_draft_text(text: bytes) -> Event:
    """The draft as it is kept while it waits; one from before approvals named their step is read as well, and nobody
    signs it any more. Raises EventDamaged."""
    return _draft(text.removeprefix(FIRST_APPROVAL_PREFIX))


def _draft(text: bytes) -> Event:
    event = read_event(text)
    if event.draft_text() != text:
        raise EventDamaged("not a draft: somebody has approved it, or it has happened")
    return event


def tell(text: bytes, language: Language, loaded: LoadedKind | None, disclosures: Mapping[str, str]) -> list[str]:
    """Lines. `disclosures`: of hidden fields, as a draft brings them. Raises EventDamaged, DisclosureRefused, and
    ValueError where the kind is another one than the draft's."""
    step, event = read_approval_text(text)
    if loaded is not None and loaded.digest != event.kind.digest:
        raise ValueError("the kind is another one than the draft names")
    voice = _Voice(language, loaded, event)
    told = _disclosed(event, disclosures)
    lines = [
        voice.say("asks", application=event.actor.application, tenant=event.actor.tenant),
        voice.decides(step),
        "",
    ]
    lines += [
        voice.fact("event", voice.title(event)),
        voice.fact("kind", f"{voice.kind} ({event.kind.id} {event.kind.version})".lstrip()),
        voice.fact("digest", event.kind.digest),
        voice.fact("box", event.actor.box),
        voice.fact("letter", event.letter),
        voice.fact("number", str(event.number)),
        voice.fact("previous", event.previous or voice.say("first")),
    ]
    lines += [voice.field(name, value) for name, value in event.fields.items()]
    lines += [voice.field(name, value) for name, value in told.items()]
    lines += [voice.field(name, value) for name, value in event.data.items()]
    lines += [f"{voice.label(name)}: {voice.say('sealed')} {digest}" for name, digest in event.sealed.items()]
    if len(event.hidden) > len(told):
        lines.append(voice.fact("hidden", str(len(event.hidden) - len(told))))
    if event.value is not None:
        amount = f"{event.value.amount} {event.value.currency}"
        lines.append(voice.fact("value", voice.say(event.value.move, amount=amount)))
    for part in event.parts:
        currency = "" if event.value is None else f" {event.value.currency}"
        values = "; ".join(voice.field(name, value) for name, value in part.fields.items())
        lines.append(voice.fact("part", f"{part.letter}: {part.amount}{currency}, {voice.state(part.state)}; {values}"))
    for receipt in event.receipts:
        said = voice.say("receipt", registry=receipt.registry, number=receipt.number)
        lines.append(f"{said}: {receipt.digest}")
    for one in event.references:
        lines.append(f"{voice.say('reference', letter=one.letter, state=one.state)}: {one.head}")
    lines.append(voice.fact("state", voice.state(event.state)))
    if loaded is None:
        lines += ["", voice.say("unlabelled")]
    return lines


def _disclosed(event: Event, disclosures: Mapping[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for text in disclosures.values():
        if digest_of(text) not in event.hidden:
            raise DisclosureRefused("a disclosure does not belong to the draft")
        disclosure = read_disclosure(text)
        told[disclosure.name or ""] = disclosure.value
    return told


class _Voice:
    def __init__(self, language: Language, loaded: LoadedKind | None, event: Event) -> None:
        self._place = 1 if language == "zh" else 0
        self._kind = None if loaded is None else loaded.kind
        rule = None if self._kind is None else self._kind.events.get(event.event)
        self._fields = ({} if self._kind is None else dict(self._kind.fields)) | (
            {} if rule is None else dict(rule.data)
        )

    def say(self, word: str, **values: str) -> str:
        return _WORDS[word][self._place].format(**{name: escape(value) for name, value in values.items()})

    def decides(self, step: ApprovalStep) -> str:
        limits = (", ", "、")[self._place].join(step.limits)
        return self.say("limits" if limits else "decides", step=str(step.step + 1), policy=step.policy, limits=limits)

    def fact(self, word: str, value: str) -> str:
        return f"{self.say(word)}: {escape(value, None)}"

    def of(self, label: Bilingual) -> str:
        return (label.en, label.zh)[self._place]

    @property
    def kind(self) -> str:
        return "" if self._kind is None else self.of(self._kind.title)

    def title(self, event: Event) -> str:
        rule = None if self._kind is None else self._kind.events.get(event.event)
        return event.event if rule is None else f"{self.of(rule.title)} ({event.event})"

    def state(self, name: str) -> str:
        state = None if self._kind is None else self._kind.states.get(name)
        return name if state is None else f"{self.of(state.title)} ({name})"

    def label(self, name: str) -> str:
        field = self._fields.get(name)
        return escape(name if field is None else f"{self.of(field.label)} ({name})")

    def field(self, name: str, value: Any) -> str:
        return f"{self.label(name)}: {escape(_shown(value), None)}"


def _shown(value: Any) -> str:
    """A value as it stands in the draft: nothing rounded, nothing left out."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and set(value) == {"amount", "currency"}:
        return f"{value['amount']} {value['currency']}"
    if isinstance(value, Mapping) and set(value) in ({"name"}, {"name", "id"}):
        return f"{value['name']} ({value['id']})" if "id" in value else str(value["name"])
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
