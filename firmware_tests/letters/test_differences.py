"""Two versions of a kind compared: what became stricter, what looser, and where letters under way keep the old rule."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from appliance.letters.check import check
from appliance.letters.differences import differences
from appliance.letters.errors import KindRefused
from firmware_tests.letters import sound_kind
from firmware_tests.letters.changed_kinds import changed_kinds

CASES = [
    # what changes (`d` the document, `e` events, `f` fields), path, effect, whether letters under way keep the old rule
    ("d['retention_years'] = 9", "retention_years", "tightened", True),
    ("d['public'].append('due')", "public", "loosened", True),
    ("d['title']['en'] = 'Other'", "title", "changed", False),
    ("f['number']['longest'] = 20", "fields.number.longest", "tightened", False),
    ("f['number']['pattern'] = '[A-Z]+'", "fields.number.pattern", "changed", False),
    ("f['due']['least'] = '2025-01-01'", "fields.due.least", "tightened", True),
    ("del f['due']['most']", "fields.due.most", "loosened", True),
    ("f['share']['most'] = '0.5'", "fields.share.most", "tightened", False),
    ("f['share']['required'] = True", "fields.share.required", "tightened", False),
    ("f['face']['currencies'].append('EUR')", "fields.face.currencies", "loosened", False),
    ("f['face']['currencies'] = []", "fields.face.currencies", "loosened", False),
    ("f['extra'] = f['remark']; e['postpone']['fields'].append('extra')", "fields.extra", "added", True),
    ("del d['states']['gone']", "states.gone", "removed", True),
    ("del d['states']['held']", "states.held", "removed", True),
    ("d['states']['lost'] = d['states']['gone']", "states.lost", "added", False),
    ("e['draft']['by'].append('robot')", "events.draft.by", "loosened", False),
    ("e['pay']['acts_for'] = {'maker': 'seller'}", "events.pay.acts_for", "tightened", True),
    ("e['pay']['by'] = ['holder']", "events.pay.by", "tightened", True),
    ("e['pay']['from'].append('drafted')", "events.pay.from", "loosened", True),
    ("del e['redeem']", "events.redeem", "removed", True),
    ("e['mint'] = e['draft']", "events.mint", "added", False),
    ("del e['pay']['not_after']", "events.pay.not_after", "loosened", True),
    ("e['redeem']['not_before'] = 'due'", "events.redeem.not_before", "tightened", True),
    ("del e['pay']['receipts']", "events.pay.receipts", "loosened", True),
    ("del e['issue']['conditions']", "events.issue.conditions", "loosened", True),
    ("e['pay']['data']['note'] = f['remark']", "events.pay.data.note", "added", True),
    ("del e['issue']['approvals']", "events.issue.approvals", "loosened", True),
    ("e['issue']['approvals']['tiers'][0]['up_to'] = '500'", "events.issue.approvals", "tightened", True),
    ("e['issue']['approvals']['tiers'][0]['up_to'] = '5000'", "events.issue.approvals", "loosened", True),
    ("e['issue']['approvals']['tiers'][2]['steps'][0]['policy'] = 'x'", "events.issue.approvals", "changed", True),
    ("e['redeem']['approvals'] = e['issue']['approvals']", "events.redeem.approvals", "tightened", True),
    ("d['unique']['face'] = {'fields': ['face']}", "unique.face", "added", True),
    ("del d['quotas']['open']", "quotas.open", "removed", True),
]


@pytest.mark.parametrize(("change", "path", "effect", "running"), CASES)
def test_a_difference_is_said_with_its_place(change: str, path: str, effect: str, running: bool) -> None:
    changed = sound_kind.document() | {"version": 2}
    exec(change, {"d": changed, "e": changed["events"], "f": changed["fields"]})  # noqa: S102 - the cases above
    found = differences(sound_kind.kind(sound_kind.document()), sound_kind.kind(changed))
    assert (path, effect, running) in [(one.path, one.effect, one.running) for one in found]
    assert all(one.words("en") and one.words("zh") for one in found)


def test_the_way_back_is_the_opposite() -> None:
    """What tightens loosens when it is taken back."""
    opposite = {"tightened": "loosened", "loosened": "tightened", "added": "removed", "removed": "added"}
    for change, path, effect, _ in CASES:
        changed = sound_kind.document() | {"version": 2}
        exec(change, {"d": changed, "e": changed["events"], "f": changed["fields"]})  # noqa: S102 - the cases above
        found = differences(
            sound_kind.kind(changed | {"version": 1}), sound_kind.kind(sound_kind.document() | {"version": 2})
        )
        assert opposite.get(effect, effect) in [one.effect for one in found if one.path == path], (change, found)


def test_nothing_changed_is_nothing_said_and_versions_rise() -> None:
    old, new = sound_kind.kind(sound_kind.document()), sound_kind.kind(sound_kind.document() | {"version": 2})
    assert check(new) == []
    assert differences(old, new) == []
    with pytest.raises(KindRefused, match="version: 1 does not follow 2"):
        differences(new, old)
    with pytest.raises(KindRefused, match="different kinds"):
        differences(old, sound_kind.kind(sound_kind.document() | {"id": "other"}))


def test_no_change_of_a_rule_is_left_out() -> None:
    """Of every member that a kind has; `rows` say no rule of it."""
    untold = set()
    for path, kind, other in changed_kinds():
        if path[0] in ("id", "version", "format", "rows"):
            continue
        with contextlib.suppress(ValueError):  # a limit that is no number: such a kind is not installed
            if not differences(kind, msgspec.structs.replace(other, version=kind.version + 1)):
                untold.add((kind.id, *path))
    assert not untold
