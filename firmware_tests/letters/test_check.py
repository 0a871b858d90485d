"""What a kind's check finds: every rule has a kind that breaks it, and breaking a sound kind at random is found."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.letters.check import RULES, check, check_beside, check_file, check_together, read_sound_kind
from appliance.letters.errors import KindRefused
from appliance.letters.kind import read_kind
from firmware_tests.letters import sound_kind

CASES: list[tuple[str, str, str]] = [
    # rule, path of the finding, what breaks the sound kind (`d`: its document, `e`: its events, `f`: its fields)
    ("no-such-field", "public[1]", "d['public'][1] = 'colour'"),
    ("no-such-field", "unique.number.fields[0]", "d['unique']['number']['fields'][0] = 'colour'"),
    ("no-such-field", "events.draft.fields[11]", "e['draft']['fields'].append('colour')"),
    ("no-such-field", "events.pay.not_after", "e['pay']['not_after'] = 'never'"),
    ("no-such-field", "events.pay.value.amount", "e['pay']['value']['amount'] = 'sum'"),
    ("no-such-field", "events.issue.opens[0]", "e['issue']['opens'] = ['prize']"),
    ("no-such-state", "events.cancel.from[0]", "e['cancel']['from'] = ['lost']"),
    ("no-such-state", "events.cancel.to", "e['cancel']['to'] = 'lost'"),
    ("no-such-state", "events.pay.value.emptied", "e['pay']['value']['emptied'] = 'lost'"),
    ("no-such-state", "unique.number.free_in[0]", "d['unique']['number']['free_in'] = ['lost']"),
    ("no-such-member", "unique.number.fields[0]", "d['unique']['number']['fields'][0] = 'number.id'"),
    ("named-twice", "events.draft.fields", "e['draft']['fields'].append('due')"),
    ("named-twice", "events.draft.by", "e['draft']['by'] *= 2"),
    ("named-twice", "public", "d['public'] *= 2"),
    ("named-twice", "languages", "d['languages'] = ['en', 'en']"),
    ("wrong-type", "value.amount", "d['value']['amount'] = 'number'"),
    ("wrong-type", "events.pay.not_after", "e['pay']['not_after'] = 'number'"),
    ("wrong-type", "second", "d['second'] = 'grade'"),
    ("wrong-type", "events.pay.value.amount", "e['pay']['data']['paid']['type'] = 'decimal'"),
    ("wrong-type", "events.issue.approvals.amount", "e['issue']['approvals']['amount'] = 'due'"),
    ("wrong-type", "events.issue.conditions[0].letter", "f['source']['type'] = 'digest'"),
    ("wrong-type", "unique.number.capacity", "d['unique']['number']['capacity'] = 'due'"),
    ("not-clear", "public[0]", "f['number']['confidentiality'] = 'hidden'"),
    ("not-clear", "events.issue.not_before", "f['due']['confidentiality'] = 'hidden'"),
    ("not-clear", "quotas.open.by", "f['holder']['confidentiality'] = 'recipients'"),
    ("not-clear", "unique.number.fields[0]", "d['unique']['number']['fields'] = ['price']"),
    ("not-required", "second", "f['number']['required'] = False"),
    ("not-required", "events.pay.not_after", "f['due']['required'] = False"),
    ("not-required", "events.pay.value.amount", "e['pay']['data']['paid']['required'] = False"),
    ("not-required", "value.amount", "f['face']['required'] = False"),
    ("label-long", "fields.due.label.zh", "f['due']['label']['zh'] = '长' * 31"),
    ("label-long", "states.held.title.en", "d['states']['held']['title']['en'] = 'x' * 61"),
    ("label-unclean", "events.pay.title.en", "e['pay']['title']['en'] = 'Pay\\u202e'"),
    ("not-for-type", "fields.due.pattern", "f['due']['pattern'] = 'x'"),
    ("not-for-type", "fields.number.most", "f['number']['most'] = '9'"),
    ("not-for-type", "fields.due.longest", "f['due']['longest'] = 9"),
    ("not-for-type", "fields.due.identified", "f['due']['identified'] = True"),
    ("no-choices", "fields.grade", "del f['grade']['choices']"),
    ("no-columns", "events.transfer.data.parts", "e['transfer']['data']['parts']['columns'] = {}"),
    ("table-within", "events.transfer.data.parts.columns.holder.type",
     "e['transfer']['data']['parts']['columns']['holder']['type'] = 'table'"),
    ("part-not-clear", "events.pay.data.paid.confidentiality",
     "e['pay']['data']['paid']['confidentiality'] = 'hidden'"),
    ("bad-limit", "fields.due.least", "f['due']['least'] = '2020-02-30'"),
    ("bad-limit", "fields.face.least", "f['face']['least'] = '1e3'"),
    ("bad-limit", "fields.share.most", "f['share']['most'] = 'one'"),
    ("limits-crossed", "fields.due.least", "f['due']['least'] = '2200-01-01'"),
    ("limits-crossed", "fields.share.least", "f['share']['least'] = '10'"),
    ("currency-unknown", "fields.face.currencies[2]", "f['face']['currencies'].append('XYZ')"),
    ("pattern-refused", "fields.number.pattern", "f['number']['pattern'] = '(a+)+'"),
    ("field-unset", "fields.remark", "e['draft']['fields'].remove('remark')"),
    ("no-second", "public", "del d['second']"),
    ("id-optional", "unique.number.fields[1]", "del f['seller']['identified']"),
    ("capacity-without-balance", "unique.number.capacity", "d['unique']['number']['capacity'] = 'face'"),
    ("freed-with-parts", "unique.number.free_in[0]", "d['unique']['number']['free_in'] = ['redeemed']"),
    ("unique-after-split", "events.transfer.data.parts.columns.holder",
     "d['unique']['number']['fields'][1] = 'holder.id'"),
    ("unique-after-split", "events.transfer.data.parts.columns.amount", "d['unique']['number']['fields'][1] = 'face'"),
    ("unique-after-split", "events.postpone.fields[0]", "e['postpone']['fields'] = ['number']"),
    ("not-required", "unique.number.fields[0]", "d['unique']['number']['fields'][0] = 'grade'"),
    ("party-whole", "unique.number.fields[1]", "d['unique']['number']['fields'][1] = 'seller'"),
    ("party-whole", "quotas.open.by", "d['quotas']['open']['by'] = 'holder'"),
    ("capacity-currencies", "unique.number.capacity",
     "d['unique']['number']['capacity'] = 'face'; d['value']['rule'] = 'balance'"),
    ("measure-without-value", "quotas.open.measure", "del d['value']"),
    ("no-such-event", "quotas.open.events[0]", "q |= {'events': ['pray'], 'period': 'day'}"),
    ("named-twice", "quotas.open.events", "q |= {'events': ['pay', 'pay'], 'period': 'day'}"),
    ("counted-outstanding", "quotas.open.period", "q['events'] = ['pay']"),
    ("counts-no-event", "quotas.open.amount", "q['amount'] = 'paid'"),
    ("event-moves-nothing", "quotas.open.events[1]", "q |= {'events': ['pay', 'cancel'], 'period': 'day'}"),
    ("no-such-field", "quotas.open.events[1]",
     "q |= {'events': ['pay', 'cancel'], 'period': 'day', 'amount': 'paid'}"),
    ("wrong-type", "quotas.open.events[0]",
     "q |= {'events': ['pay'], 'period': 'day', 'amount': 'paid'}; e['pay']['data']['paid']['type'] = 'integer'"),
    ("not-required", "quotas.open.events[0]",
     "q |= {'events': ['pay'], 'period': 'day', 'amount': 'paid'}; e['pay']['data']['paid']['required'] = False"),
    ("id-optional", "metered_by", "d['metered_by'] = 'holder.id'; del f['holder']['identified']"),
    ("no-beginning", "events", "e['draft']['from'] = ['held']"),
    ("beginning-without-state", "events.draft.to", "del e['draft']['to']"),
    ("beginning-lacks", "events.draft.fields", "e['draft']['fields'].remove('due')"),
    ("unreachable", "states.lost", "d['states']['lost'] = {'title': {'en': 'Lost', 'zh': '丢失'}, 'final': True}"),
    ("final-with-events", "events.pay.from[1]", "e['pay']['from'].append('gone')"),
    ("no-way-out", "states.gone", "del d['states']['gone']['final']"),
    ("never-ends", "states.turn", "d['states'] |= {n: {'title': {'en': n, 'zh': n}} for n in ('turn', 'back')}; "
     "e['go'] = e['postpone'] | {'to': 'turn'}; e['forth'] = e['go'] | {'from': ['turn'], 'to': 'back'}; "
     "e['back'] = e['go'] | {'from': ['back']}"),
    ("own-limit", "events.issue.not_before", "e['issue']['fields'].append('due')"),
    ("role-unusable", "events.pay.by[0]", "e['pay']['by'] = ['the_maker']"),
    ("acts-for-nobody", "events.pay.acts_for.stranger", "e['pay']['acts_for'] = {'stranger': 'seller'}"),
    ("no-such-field", "events.pay.acts_for.maker", "e['pay']['acts_for'] = {'maker': 'owner'}"),
    ("wrong-type", "events.pay.acts_for.maker", "e['pay']['acts_for'] = {'maker': 'number'}"),
    ("not-clear", "events.pay.acts_for.maker",
     "e['pay']['acts_for'] = {'maker': 'seller'}; f['seller']['confidentiality'] = 'hidden'"),
    ("acts-for-unset", "events.pay.acts_for.maker", "e['pay']['acts_for'] = {'maker': '@set.seller'}"),
    ("id-optional", "events.pay.acts_for.maker",  # of the event's own data
     "e['pay']['acts_for'] = {'maker': 'payer'}; e['pay']['data']['payer'] = f['seller'] | {'identified': False}"),
    ("not-required", "events.pay.acts_for.maker",
     "e['pay']['acts_for'] = {'maker': 'payer'}; e['pay']['data']['payer'] = f['seller'] | {'required': False}"),
    ("not-required", "events.postpone.acts_for.maker",  # it sets one of the two at least
     "f['payer'] = f['seller'] | {'required': False}; e['postpone']['fields'].append('payer'); "
     "e['postpone']['acts_for'] = {'maker': '@set.payer'}"),
    ("id-optional", "events.pay.acts_for.maker",
     "e['pay']['acts_for'] = {'maker': 'seller'}; del f['seller']['identified']"),
    ("not-required", "events.pay.acts_for.maker",
     "e['pay']['acts_for'] = {'maker': 'seller'}; f['seller']['required'] = False"),
    ("not-required", "events.forth.acts_for.maker",  # it is there by one way into the state, and not by the other
     "f['payer'] = f['seller'] | {'required': False}; e['go'] = e['postpone'] | {'to': 'turn', 'fields': ['payer']}; "
     "e['past'] = e['postpone'] | {'to': 'turn', 'fields': ['due']}; "
     "d['states']['turn'] = {'title': {'en': 't', 'zh': 't'}}; "
     "e['forth'] = e['pay'] | {'from': ['turn'], 'acts_for': {'maker': 'payer'}}"),
    ("role-unusable", "events.pay.by[0]", "e['pay']['by'] = ['a' * 60]"),
    ("policy-unusable", "events.issue.approvals.tiers[1].steps[0].policy", "t[1]['steps'][0]['policy'] = 'a.b'"),
    ("value-without-rule", "events.pay.value", "del d['value']"),
    ("value-never-opened", "value", "del e['issue']['value']; del e['release']"),
    ("split-not-divisible", "events.transfer.value.move", "d['value']['rule'] = 'balance'"),
    ("move-needs", "events.pay.value", "del e['pay']['value']['amount']"),
    ("move-takes-no", "events.redeem.value.emptied", "e['redeem']['value']['emptied'] = 'gone'"),
    ("amount-opened-later", "events.postpone.fields", "e['postpone']['fields'].append('face')"),
    ("opened-twice", "events.postpone.value", "e['postpone']['value'] = {'move': 'open'}"),
    ("not-open-yet", "events.redeem.value", "e['redeem']['from'].append('drafted')"),
    ("ended-already", "events.pay.value", "e['postpone']['value'] = {'move': 'close'}"),
    ("ends-with-value", "events.redeem.value", "del e['redeem']['value']"),
    ("no-amount-column", "events.transfer.data.parts.columns",
     "del e['transfer']['data']['parts']['columns']['amount']"),
    ("column-differs", "events.transfer.data.parts.columns.holder",
     "e['transfer']['data']['parts']['columns']['holder']['longest'] = 50"),
    ("column-no-field", "events.transfer.data.parts.columns.owner",
     "c = e['transfer']['data']['parts']['columns']; c['owner'] = c['holder']"),
    ("tier-without-currency", "events.issue.approvals.tiers[1]", "del t[1]['currency']"),
    ("tier-without-amount", "events.issue.approvals.tiers[0]", "del e['issue']['approvals']['amount']"),
    ("amount-any-currency", "events.issue.approvals.tiers", "del f['face']['currencies']"),
    ("currency-without-tier", "events.issue.approvals.tiers", "del t[2]"),
    ("tier-foreign", "events.issue.approvals.tiers[2].currency", "t[2]['currency'] = 'EUR'"),
    ("tiers-fall", "events.issue.approvals.tiers[1].up_to",
     "t.insert(1, {'currency': 'CNY', 'up_to': '1000', 'steps': [{'policy': 'issue'}]})"),
    ("tiers-end", "events.issue.approvals.tiers[1].up_to", "t[1]['up_to'] = '5000'"),
    ("tier-after-end", "events.issue.approvals.tiers[2]", "t.insert(2, dict(t[1]))"),
    ("tiers-relax", "events.issue.approvals.tiers[1].steps", "t[0]['steps'] = t[1].pop('steps')"),
    ("condition-state", "events.issue.conditions[0].states[0]", "e['issue']['conditions'][0]['states'] = ['lost']"),
    ("condition-field", "events.issue.conditions[0].same.holder",
     "e['issue']['conditions'][0]['same'] = {'holder': 'owner'}"),
    ("condition-type", "events.issue.conditions[0].same.holder",
     "e['issue']['conditions'][0]['same'] = {'holder': 'due'}"),
    ("condition-field", "events.issue.conditions[0].not_after",
     "e['issue']['conditions'][0]['not_after'] = 'nothing'"),
    ("wrong-type", "events.issue.conditions[0].not_after", "e['issue']['conditions'][0]['not_after'] = 'number'"),
    ("waiting", "events.issue.conditions", "del e['release']"),
    ("veil-unopened", "fields.price.confidentiality", "del e['issue']['opens']"),
    ("veil-weak", "events.issue", "del e['issue']['not_before']"),
    ("veil-unbound", "second", "del d['second'], d['public']"),
    ("veil-unbound", "second", "d['second'] = 'seller'"),
    ("veil-time-moved", "events.advance.fields", "e['advance'] = e['postpone'] | {'from': ['drafted']}"),
    ("opens-not-veiled", "events.issue.opens[1]", "e['issue']['opens'].append('due')"),
    ("opens-before-set", "events.issue.opens[0]", "e['draft']['fields'].remove('price')"),
    ("opens-and-sets", "events.issue.opens[0]", "e['issue']['fields'].append('price')"),
    ("not-in-order", "events.pay.seals_document.own",
     "e['pay']['seals_document'] = {'digest': 'number', 'order': ['seller'], 'own': 'holder'}"),
    ("veil-again", "events.postpone.fields", "e['postpone']['fields'].append('price')"),
    ("second-moves", "events.postpone.fields", "e['postpone']['fields'].append('number')"),
    ("term-elsewhere", "events.pay.data.on.term",
     "e['pay']['data']['on'] = {k: f['due'][k] for k in ('label', 'type', 'term')}"),
    ("term-elsewhere", "fields.sellers.columns.id.term", "f['sellers']['columns']['id']['term'] = f['due']['term']"),
    ("term-without-end", "fields.due.term", "del f['due']['term']['most']"),
    ("not-for-type", "fields.share.term", "f['share']['term'] = f['due']['term']"),
    ("no-such-field", "fields.due.term.after", "f['due']['term']['after'] = 'due'"),
    ("wrong-type", "fields.due.term.after", "f['due']['term']['after'] = 'number'"),
    ("not-required", "fields.due.term.after", "f['due']['term']['after'] = 'share'"),
    ("automatic-needs", "events.lapse.automatic", "e['lapse']['receipts'] = ['registry']"),
    ("automatic-needs", "events.lapse.automatic", "e['lapse']['data'] = e['pay']['data']"),
    ("automatic-when", "events.lapse.automatic", "del e['lapse']['not_before']"),
    ("name-kept", "unique.receipt_tax", "d['unique']['receipt_tax'] = d['unique']['number']"),
    ("name-kept", "unique.serves_once", "d['unique']['serves_once'] = d['unique']['number']"),
    ("no-such-field", "events.issue.conditions[0].compare[0].own", "c[0]['own'] = 'colour'"),
    ("no-such-field", "events.issue.conditions[0].compare[1].own", "c[1]['own'] = 'seller.colour'"),
    ("wrong-type", "events.issue.conditions[0].compare[0].own", "c[0]['own'] = 'number'"),
    ("wrong-type", "events.issue.conditions[0].compare[0].own", "c[0] |= {'own': 'sellers', 'is': 'equal'}"),
    ("not-clear", "events.issue.conditions[0].compare[0].own", "c[0] |= {'own': 'price', 'theirs': 'face'}"),
    ("measure-without-value", "events.issue.conditions[0].compare[0].own", "c[0]['own'] = '@balance'; del d['value']"),
    ("condition-kind", "events.issue.conditions[0].compare[1].of[0]", "c[1]['of'] = ['other']"),
    ("condition-field", "events.issue.conditions[0].compare[0].theirs", "c[0]['theirs'] = 'price'"),
    ("condition-field", "events.issue.conditions[0].compare[1].theirs", "c[1]['theirs'] = 'sellers.colour'"),
    ("condition-type", "events.issue.conditions[0].compare[0]", "c[0]['theirs'] = 'due'"),
    ("condition-field", "events.issue.conditions[0].serves.at_most", "n['serves']['at_most'] = 'turns'"),
    ("wrong-type", "events.issue.conditions[0].serves.at_most", "n['serves']['at_most'] = 'due'"),
    ("wrong-type", "events.issue.conditions[0].serves.at_most", "n['serves'] |= {'each': 'face'}"),
    ("no-such-field", "events.issue.conditions[0].serves.each", "n['serves'] |= {'each': 'sum', 'at_most': 'face'}"),
    ("wrong-type", "events.issue.conditions[0].serves.each", "n['serves'] |= {'each': 'due', 'at_most': 'face'}"),
    ("not-clear", "events.issue.conditions[0].serves.each", "n['serves'] |= {'each': 'price', 'at_most': 'face'}"),
    ("not-required", "events.issue.conditions[0].serves.each",
     "n['serves'] |= {'each': 'face', 'at_most': 'face'}; f['face']['required'] = False"),
]  # fmt: skip


def test_the_sound_kind_is_sound() -> None:
    assert check(sound_kind.kind(sound_kind.document())) == []
    assert read_sound_kind(sound_kind.TEXT.encode()).kind.id == "sample"


@pytest.mark.parametrize(("rule", "path", "breaking"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_what_breaks_a_rule_is_found_in_its_place(rule: str, path: str, breaking: str) -> None:
    broken = sound_kind.document()
    names = {
        "d": broken,
        "e": broken["events"],
        "f": broken["fields"],
        "q": broken["quotas"]["open"],
        "t": broken["events"]["issue"]["approvals"]["tiers"],
        "n": broken["events"]["issue"]["conditions"][0],
        "c": broken["events"]["issue"]["conditions"][0]["compare"],
    }
    exec(breaking, names)  # noqa: S102 - the cases above
    findings = check(sound_kind.kind(broken))
    assert (path, rule) in {(one.path, one.rule) for one in findings}, [str(one) for one in findings]
    for one in findings:
        assert one.words("en") != one.words("zh")
        assert str(one).startswith(one.path)


def test_every_rule_has_a_case() -> None:
    alone = {case[0] for case in CASES}
    assert alone | {"schema", "unique-differs", "counter-differs"} == RULES.keys()


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ("[states.held", "states.Held"),
        ('type = "decimal"', "fields.share.type"),
        ('measure = "value"', "quotas.open.measure"),
        ('move = "close"', "events.redeem.value.move"),
        ("retention_years = 5", "retention_years"),
        ('columns.holder"', "events.transfer.data.parts.columns.holder.label.en"),
    ],
)
def test_what_breaks_the_schema_is_named_by_its_place(changed: str, path: str) -> None:
    text = {
        "[states.held": sound_kind.TEXT.replace("\nheld = ", "\nHeld = "),
        'columns.holder"': sound_kind.TEXT.replace(
            'holder = { label = { en = "Holder", zh = "持有人" }, type = "party", identified = true }\n\n[events.pay',
            'holder = { label = { en = 5, zh = "持有人" }, type = "party", identified = true }\n\n[events.pay',
        ),
    }.get(changed) or sound_kind.TEXT.replace(changed, changed.split("=", maxsplit=1)[0] + '= "odd"')
    assert text != sound_kind.TEXT
    loaded, findings = check_file(text.encode())
    assert loaded is None
    assert [one.path for one in findings] == [path]
    with pytest.raises(KindRefused, match=path.replace("[", r"\[")):
        read_sound_kind(text.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('fields = ["answer_by"]', 'fields = ["answer_by", "batch"]'),  # sets one of the two at least
        ('fields = ["answer_by"]', "fields = []"),
        ('from = ["pending"]\nto = "late"', 'from = ["pending", "submitted"]\nto = "late"'),
        ('from = ["returned", "refused", "late"]\nto = "submitted"', 'from = ["returned", "late"]\nto = "pending"'),
        ('from = ["submitted"]\nto = "pending"', 'from = []\nto = "pending"'),
    ],
)
def test_a_time_that_is_not_required_will_do_where_every_way_into_the_state_sets_it(old: str, new: str) -> None:
    text = (files("appliance.letters") / "catalogue" / "outbound-filing.toml").read_text()
    assert not check(read_kind(text.encode()).kind)
    assert old in text
    findings = check(read_kind(text.replace(old, new).encode()).kind)
    assert ("events.grow-late.not_before", "not-required") in {(one.path, one.rule) for one in findings}


@pytest.mark.parametrize(
    "making",
    [
        "e['pay']['by'].append('holder')",  # who acts for anybody
        "e['pay'] |= {'by': ['maker', 'holder'], 'acts_for': {'maker': 'payer', 'holder': 'holder'}}",
        "e['pay']['data']['payer'] = f['payer'] | {'identified': True, 'required': True}",  # before the letter's
        "f['payer']['identified'] = True; e['pay'] |= {'fields': ['payer'], 'acts_for': {'maker': '@set.payer'}}",
    ],
)
def test_a_party_that_may_be_missing_will_do_where_another_role_can_act(making: str) -> None:
    document = sound_kind.document()
    events, fields = document["events"], document["fields"]
    fields["payer"] = {"label": {"en": "Payer", "zh": "付款人"}, "type": "party", "required": False}
    events["postpone"]["fields"].append("payer")
    events["pay"]["acts_for"] = {"maker": "payer"}
    said = {("events.pay.acts_for.maker", "id-optional"), ("events.pay.acts_for.maker", "not-required")}
    assert {(one.path, one.rule) for one in check(sound_kind.kind(document))} == said
    exec(making, {"e": events, "f": fields})  # noqa: S102 - the cases above
    assert [str(one) for one in check(sound_kind.kind(document))] == []


def test_a_hidden_party_is_asked_for_where_no_letter_is_split_off() -> None:
    """What is split off has the clear fields of its origin, and no others."""
    text = (files("appliance.letters") / "catalogue" / "invoice.toml").read_text()
    hidden = text.replace(
        'zh = "占用银行" }, type = "party"', 'zh = "占用银行" }, type = "party", confidentiality = "hidden"'
    )
    assert hidden != text
    assert not check(read_kind(hidden.encode()).kind)
    text = (files("appliance.letters") / "catalogue" / "forfaiting-asset.toml").read_text()
    hidden = text.replace(
        'zh = "转让行" }, type = "party"', 'zh = "转让行" }, type = "party", confidentiality = "hidden"'
    )
    assert hidden != text
    findings = check(read_kind(hidden.encode()).kind)
    assert ("events.list.acts_for.seller", "not-clear") in {(one.path, one.rule) for one in findings}


def test_whoever_bought_it_is_there_in_every_part_unless_a_way_leads_past_the_match() -> None:
    text = (files("appliance.letters") / "catalogue" / "forfaiting-asset.toml").read_text()
    assert not check(read_kind(text.encode()).kind)
    past = text.replace('from = ["matched"]\nto = "assigned"', 'from = ["matched", "listed"]\nto = "assigned"')
    assert past != text
    findings = {(one.path, one.rule) for one in check(read_kind(past.encode()).kind)}
    assert findings == {("events.sell-parts.acts_for.funder", "not-required")}


@pytest.mark.parametrize("text", [b"\xff", b"a = ", b"x = 1\n" * 60_000, b"a = " + b"[" * 100_000])
def test_what_is_no_kind_at_all_is_refused(text: bytes) -> None:
    with pytest.raises(KindRefused):
        check_file(text)


def test_kinds_that_wait_for_each_other_are_found_together() -> None:
    """An order that waits for an invoice that waits for the order."""

    def one(name: str, other: str) -> Any:  # TOML
        made = sound_kind.document()
        made["id"] = name
        del made["events"]["release"]
        made["events"]["issue"]["conditions"][0] |= {"kinds": [other], "compare": []}
        return made

    first, second = (sound_kind.kind(one(*names)) for names in (("order", "invoice"), ("invoice", "order")))
    assert check(first) == check(second) == []
    findings = check_together([first, second])
    assert [(one.path, one.rule) for one in findings] == [
        ("order: events.issue.conditions", "waiting"),
        ("invoice: events.issue.conditions", "waiting"),
    ]
    assert "order.issue -> invoice.issue -> order.issue" in str(findings[0])
    missing = check_together([first])
    assert [(one.path, one.rule) for one in missing] == [("events.issue.conditions[0].kinds[0]", "condition-kind")]


@pytest.mark.parametrize(
    "changed",
    [{"fields": ["seller.id", "number"]}, {"capacity": "face"}],
)
def test_rules_of_one_name_are_one_register(changed: dict[str, Any]) -> None:
    """Another order, or a capacity on one side alone: what one kind takes, the other would never meet."""
    other = sound_kind.document() | {"id": "other"}
    assert check_together([sound_kind.kind(sound_kind.document()), sound_kind.kind(other)]) == []
    other["unique"]["number"] |= changed
    found = check_together([sound_kind.kind(sound_kind.document()), sound_kind.kind(other)])
    assert [(one.path, one.rule) for one in found] == [("other: unique.number", "unique-differs")]
    other["unique"]["number"]["scope"] = "@elsewhere"
    assert check_together([sound_kind.kind(sound_kind.document()), sound_kind.kind(other)]) == []


def test_kinds_of_one_group_count_alike() -> None:
    one, other = sound_kind.document(), sound_kind.document()
    other["id"] = "other"
    for document in (one, other):
        document["quotas"]["open"]["group"] = "all"
    assert not [f for f in check_together([sound_kind.kind(one), sound_kind.kind(other)]) if "quotas" in f.path]
    other["quotas"]["open"]["period"] = "year"
    found = check_together([sound_kind.kind(one), sound_kind.kind(other)])
    assert ("other: quotas.open", "counter-differs") in [(f.path, f.rule) for f in found]


def test_a_version_shares_the_registers_and_counters_of_those_before_it() -> None:
    """Letters live by the version under which they began: one version's values and another's must meet."""
    first, second = sound_kind.document(), sound_kind.document() | {"version": 2}
    old = sound_kind.kind(first)
    assert check_beside(sound_kind.kind(second), [old]) == []
    second["unique"]["number"]["fields"].reverse()
    second["quotas"]["open"]["measure"] = "letters"
    found = check_beside(sound_kind.kind(second), [old, old])
    said = [("invoice: unique.number", "unique-differs"), ("invoice: quotas.open", "counter-differs")]
    assert [(one.path.replace(old.id, "invoice"), one.rule) for one in found] == said
    assert f"{old.id} 1" in str(found[0])
    assert check_beside(old, [old]) == []  # the very version, as after a crash


_NAMED = st.sampled_from(["fields", "states"])


def _uses(document: Any, name: str, table: str) -> bool:
    """The name stands somewhere but in its own table."""
    rest = {key: value for key, value in document.items() if key != table}
    stack = [rest]
    while stack:
        one = stack.pop()
        if one == name:
            return True
        stack.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    return False


@given(_NAMED, st.data())
def test_a_name_that_is_taken_away_is_missed(table: str, data: st.DataObject) -> None:
    broken = sound_kind.document()
    name = data.draw(st.sampled_from(sorted(broken[table])))
    used = _uses(broken, name, table)
    del broken[table][name]
    assert bool(check(sound_kind.kind(broken))) == used


def _ways(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(document, dict):
        return [way for key, value in document.items() for way in [(*path, key), *_ways(value, (*path, key))]]
    if isinstance(document, list):
        return [way for key, value in enumerate(document) for way in [(*path, key), *_ways(value, (*path, key))]]
    return []


_WAYS = _ways(sound_kind.document())


@given(st.sampled_from(_WAYS), st.sampled_from(["", "zz", 0, True, [], {}, None, "gone", "held", "face", "1", "open"]))
def test_no_change_of_a_kind_breaks_the_check_itself(way: tuple[Any, ...], value: Any) -> None:
    """Whatever stands in the file: findings or none, each with a path; never another error."""
    broken: Any = sound_kind.document()
    parent = broken
    for step in way[:-1]:
        parent = parent[step]
    if value is None:
        del parent[way[-1]]
    else:
        parent[way[-1]] = value
    try:
        findings = check(sound_kind.kind(broken))
    except msgspec.ValidationError:
        return
    assert all(one.path and one.words("en") and one.words("zh") for one in findings)
