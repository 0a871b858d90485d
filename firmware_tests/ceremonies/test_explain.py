"""What officers read before they sign names everything that they sign, and cannot be made to say something else."""

from __future__ import annotations

import base64
import hashlib
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.ceremonies import Proposal, digest_words
from appliance.ceremonies.actions import (
    Action,
    AmendConstitution,
    ApprovalTier,
    CreateTenant,
    EnrolApplication,
    EnrolCertificate,
    InstallAdapter,
    InstallKind,
    Lock,
    Quota,
    SetApprovalPolicy,
)
from appliance.ceremonies.constitution import Constitution, Recovery
from appliance.ceremonies.explain import explain, explain_action
from appliance.ceremonies.explain_texts import EMPTY, LABELS, MEANINGS, SENTENCES, WORDS
from appliance.ceremonies.explain_voice import LANGUAGES, Language
from appliance.letters.shipped import shipped
from firmware_tests.ceremonies.test_quorum import constitution, following, proposal
from firmware_tests.officers import card_certificate

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END CERTIFICATE-----\n", re.DOTALL)
ACTIONS: tuple[type, ...] = typing.get_args(Action)
HOSTILE = "x</p><script>alert(1)</script>\u202egnp.exe\u2066\x00\r\n\u200b“end”\U000e0041"


def text_of(part: Any) -> str:
    return "\n".join([part.sentence, *(f"{fact.label}: {fact.value}" for fact in part.facts + part.rest)])


def leaves(value: Any) -> list[Any]:
    """Every value of a structure, without the structure."""
    if isinstance(value, msgspec.Struct):
        return [leaf for field in msgspec.structs.fields(value) for leaf in leaves(getattr(value, field.name))]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]


def instances(kind: type) -> st.SearchStrategy[Any]:
    """Structures of an action type; texts of every kind that the type permits."""
    if kind is AmendConstitution:
        return st.builds(
            AmendConstitution,
            constitution=st.sampled_from([constitution(), following(constitution(), rules=constitution().rules)]),
            recovery=st.booleans(),
        )
    return st.builds(
        kind,
        **{
            field.name: _values(field.encode_name, field.type)
            for field in msgspec.structs.fields(kind)
        },
    )  # fmt: skip


def _values(name: str, kind: Any) -> st.SearchStrategy[Any]:
    arguments, origin = typing.get_args(kind), typing.get_origin(kind)
    if origin is typing.Annotated:
        meta = arguments[1]
        if meta.pattern is not None:
            return st.from_regex(meta.pattern, fullmatch=True).map(str).filter(lambda text: len(text) < 200)
        if arguments[0] is str:
            return st.text(min_size=meta.min_length or 0, max_size=min(meta.max_length or 60, 60))
        return st.integers(meta.ge, meta.le)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(_values(name, arguments[0]), max_size=3)
    if type(None) in arguments:
        return st.none() | _values(name, next(one for one in arguments if one is not type(None)))
    if kind is bool:
        return st.booleans()
    if kind is str:
        return st.text(max_size=60)
    return st.builds(kind, **{field.name: _values(field.name, field.type) for field in msgspec.structs.fields(kind)})


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: str(kind.__struct_config__.tag))
def test_everything_in_an_action_is_said(kind: type) -> None:
    @settings(max_examples=10)
    @given(instances(kind))
    def check(action: Any) -> None:
        for language in LANGUAGES:
            text = text_of(explain_action(action, language))
            for leaf in leaves(action):
                assert _said(leaf, text), (leaf, text)

    check()


def _said(leaf: Any, text: str) -> bool:
    if isinstance(leaf, bool):
        said = ("yes", "in_order", "may_be_copied") if leaf else ("no", "any_order", "is_not_copied")
        return any(word in text for name in said for word in WORDS[name])
    if (isinstance(leaf, str) and not leaf.isascii()) or (isinstance(leaf, str) and not leaf.isprintable()):
        return all(word in text for word in leaf.split() if word.isascii() and word.isalnum())
    if leaf in (None, ""):
        return True
    if leaf in ("passkey", "card", "box"):
        return any(template.partition(" {")[0] in text for template in WORDS[leaf])
    return str(leaf).removeprefix("tenant/") in text or hashlib.sha256(_decoded(str(leaf))).hexdigest() in text


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()


@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_action_and_member_has_words_in_both_languages(kind: type) -> None:
    assert all(SENTENCES[str(kind.__struct_config__.tag)])  # type: ignore[attr-defined]
    for field in msgspec.structs.fields(kind):
        assert all(LABELS[field.name]), field.name


def test_tables_are_whole() -> None:
    assert {str(kind.__struct_config__.tag) for kind in ACTIONS} == SENTENCES.keys()  # type: ignore[attr-defined]
    for table in (SENTENCES, LABELS, MEANINGS, EMPTY, WORDS):
        for key, pair in table.items():
            english, chinese = pair
            assert english.strip(), key
            assert (
                any("\u4e00" <= character <= "\u9fff" for character in chinese)
                or not english.isascii()
                or (key in {"separator", "comma", "colon", "tier"} or "{" in english)
            ), key
            assert _names(english) == _names(chinese), key


def _names(template: str) -> set[str]:
    import string

    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_proposal_says_who_why_and_under_what(language: Language) -> None:
    made = proposal(Lock())
    text = explain(made, language).text()
    for leaf in leaves(made):
        assert _said(leaf, text) or leaf == "box", leaf
    assert WORDS["alone"][LANGUAGES.index(language)] in text
    assert WORDS["alone"][LANGUAGES.index(language)] not in explain(proposal(), language).text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_text_is_shown_and_does_nothing(language: Language) -> None:
    made = proposal(
        CreateTenant(name="t", title=HOSTILE, token="t", quota=Quota()), title=HOSTILE, reason="{requester}" + HOSTILE
    )
    text = explain(made, language).text()
    for character in "\u202e\u2066\x00\r\u200b\U000e0041":
        assert character not in text
        assert f"⟨U+{ord(character):04X}⟩" in text
    assert "{requester}" in text
    assert text.count("“x</p><script>alert(1)</script>") == 2
    assert "⟨U+201C⟩end⟨U+201D⟩" in text
    assert len(text.splitlines()) == len(
        explain(proposal(CreateTenant(name="t", title="x", token="t")), language).text().splitlines()
    )


def test_long_texts_are_shown_whole() -> None:
    made = proposal(reason="long " * 400)
    assert "long " * 400 in explain(made, "en").text()


def test_an_amendment_says_what_changes_and_what_it_becomes() -> None:
    law = constitution()
    box, demo = law.scopes
    new = following(
        law,
        scopes=[
            msgspec.structs.replace(box, officers=["ann", "bo", "cai", "tom"], threshold=3),
            msgspec.structs.replace(demo, recovery=Recovery(officers=["rex", "ria"], threshold=1, waiting_hours=48)),
        ],
        persons=[
            msgspec.structs.replace(one, name="Bo the second") if one.id == "bo" else one
            for one in law.persons
            if one.id != "eve"
        ],
        rules=msgspec.structs.replace(law.rules, longest_hours=12),
    )
    action = AmendConstitution(constitution=new)
    said = text_of(explain_action(action, "en", law))
    for words in (
        "tom joins the box",
        "eve leaves the box",
        "threshold of the box: 2 becomes 3",
        "rex joins the recovery roster of tenant “demo”",
        "entry of “Bo the second”, identifier bo is another one",
        "identifier eve is no longer in it",
        "rules of approval change",
        "Longest life of a proposal, hours: 168 becomes 12",
        "recovery by rex, ria; 1 beside the requester, after 48 public hours",
    ):
        assert words in said
    assert "tom 加入 本机" in text_of(explain_action(action, "zh-Hans", law))
    for leaf in leaves(new):
        assert _said(leaf, said) or leaf == "", leaf
    same = AmendConstitution(constitution=following(law))
    assert "What changes: nothing" in text_of(explain_action(same, "en", law))


def test_certificates_are_shown_by_whom_they_name(tmp_path: Any) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from firmware_tests.officers import card_certificate

    made = card_certificate("pay\u202eroll", ec.generate_private_key(ec.SECP256R1()))
    encoded = made.public_bytes(serialization.Encoding.DER)
    text = base64.b64encode(encoded).decode()
    said = text_of(explain_action(EnrolCertificate(tenant="demo", application="a", certificate=text), "en"))
    assert "CN=pay⟨U+202E⟩roll" in said
    assert hashlib.sha256(encoded).hexdigest() in said


def test_tiers_are_shown_one_by_one() -> None:
    tiers = [
        ApprovalTier(up_to="1000.50", currency="EUR", approvers=["ann", "bo"], threshold=1),
        ApprovalTier(up_to="", currency="EUR", approvers=["ann", "bo"], threshold=2, in_order=True),
    ]
    said = text_of(explain_action(SetApprovalPolicy(tenant="demo", policy="p", tiers=tiers), "en"))
    assert "1000.50 EUR: 1 of ann, bo, in any order" in said
    assert "any amount EUR: 2 of ann, bo, one after another" in said


def test_for_whom_an_application_acts_is_said_and_spelled_one_way() -> None:
    allowed = ["demo-seal", "role-holder", "party-91440101MA5CUYJL1K"]
    one = EnrolApplication(tenant="demo", application="desk", permissions=allowed)
    every = EnrolApplication(tenant="demo", application="desk", permissions=["party-*"])
    assert "party-91440101MA5CUYJL1K: acts for the party with this id" in text_of(explain_action(one, "en"))
    assert "party-91440101MA5CUYJL1K：代表该标识的当事人行事" in text_of(explain_action(one, "zh-Hans"))
    assert "party-*: acts for every party" in text_of(explain_action(every, "en"))
    assert "party-*：代表所有当事人行事" in text_of(explain_action(every, "zh-Hans"))
    for wrong in ("91440101MA5CUYJL1K", "party-a b", "party-**", "Party-1", "role-*", "party-" + "9" * 65):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(
                {"action": "enrol-application", "tenant": "demo", "application": "desk", "permissions": [wrong]},
                EnrolApplication,
            )


def test_a_kind_of_letter_is_shown_by_what_may_happen_and_by_its_digest_in_words() -> None:
    file = shipped()["bid-bond"].decode()
    digest = hashlib.sha256(file.encode()).hexdigest()
    for language, words, said in (("en", "english", "Bid bond"), ("zh-Hans", "chinese_simplified", "投标保函")):
        text = text_of(explain_action(InstallKind(tenant="demo", file=file), language))  # type: ignore[arg-type]
        assert digest in text
        assert digest_words(digest, words) in text  # type: ignore[arg-type]
        assert said in text
    for broken in ("a = [", "\u202e", "x" * 9000):
        text = text_of(explain_action(InstallKind(tenant="demo", file=broken), "en"))
        assert hashlib.sha256(broken.encode()).hexdigest() in text
        assert "it cannot be read as a kind" in text


def test_the_whole_proposal_survives_random_text() -> None:
    @settings(max_examples=100)
    @given(st.text(min_size=1, max_size=200))
    def check(text: str) -> None:
        made: Proposal = proposal(title=text, reason=text)
        for language in LANGUAGES:
            said = explain(made, language).text()
            assert all(character.isprintable() or character == "\n" for character in said)

    check()


def test_a_constitution_is_explained_by_its_class() -> None:
    """Every member of a constitution's parts has a label, so that a new one cannot stay unsaid."""
    law: Constitution = constitution()
    for part in (law, law.rules, law.scopes[0], law.persons[0], law.persons[0].credentials[0]):
        known = {field.name for field in msgspec.structs.fields(part)}
        assert known <= LABELS.keys() | {"credentials", "recovery"}, known - LABELS.keys()


@pytest.mark.parametrize(
    ("action", "member", "text"),
    [
        ({"action": "generate-key", "tenant": None, "token": "t", "key": "k", "scheme": "ed25519", "purpose": "log"},
         "until", "20\u09ea7-01-01T00:00:00Z"),
        ({"action": "declare-compromised", "tenant": None, "key": "k", "because": "x"},
         "since", "2026-11-2\u09edT00:00:00Z"),
        ({"action": "activate-key", "tenant": "demo", "key": "k"}, "policies", ["1.3.6.1.4.1.32473.\u09ea"]),
    ],
)  # fmt: skip
def test_a_number_is_written_in_ascii_digits(action: dict[str, Any], member: str, text: Any) -> None:
    """A Bengali four looks like an eight and is read as four: officers would sign 2087 and get 2047."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(action | {member: text}), type=Action)


def test_an_amount_is_written_in_ascii_digits() -> None:
    tier = {"up_to": "\u09ea000.00", "currency": "EUR", "approvers": [], "threshold": 0}
    action = {"action": "set-approval-policy", "tenant": "demo", "policy": "p", "tiers": [tier]}
    with pytest.raises(msgspec.ValidationError):  # amount() takes it as 4000; it looks like 8000
        msgspec.json.decode(msgspec.json.encode(action), type=Action)


def test_a_certificate_of_no_known_version_is_still_shown() -> None:
    """What one officer submits keeps nobody's page, nor the verifier, from speaking."""
    der = card_certificate("x", ec.generate_private_key(ec.SECP256R1())).public_bytes(Encoding.DER)
    odd = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101"), 1)
    rules = msgspec.structs.replace(constitution().rules, attestation_roots=[base64.b64encode(odd).decode()])
    wanted = AmendConstitution(constitution=following(constitution(), rules=rules))
    for language in LANGUAGES:
        assert hashlib.sha256(odd).hexdigest() in explain(proposal(wanted), language, constitution()).text()


def test_an_adapters_certificates_are_told_by_subject_validity_and_fingerprint() -> None:
    file = (Path(__file__).parents[1] / "filing" / "fund.toml").read_text()
    for language, issued in (("en", "issued by"), ("zh-Hans", "签发")):
        text = text_of(explain_action(InstallAdapter(tenant="demo", adapter=file), language))
        assert "BEGIN CERTIFICATE" not in text
        for name, block in zip(("authority ca", "receipts"), _PEM.findall(file), strict=True):
            digest = hashlib.sha256(base64.b64decode("".join(block.split()))).hexdigest()
            (line,) = [line for line in text.splitlines() if digest in line]
            assert f"CN={name}" in line
            assert issued in line
            assert "2026-11-22T16:33:03Z" in line
        # Nothing else of the file is left out.
        for line in _PEM.sub("", file).splitlines():
            assert line.strip() in text


@pytest.mark.parametrize(
    "block",
    [
        "-----BEGIN CERTIFICATE-----",  # no end
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nurl = 1\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE----- # url = 1",
        "-----BEGIN CERTIFICATE-----\n" + "AAAA\n" * 400 + "-----END CERTIFICATE-----",
    ],
)
def test_nothing_of_an_adapter_hides_in_what_is_no_certificate(block: str) -> None:
    text = text_of(explain_action(InstallAdapter(tenant="demo", adapter=f"{block}\nlast = 1\n"), "en"))
    lines = [*block.splitlines(), "last = 1"]
    assert [line for line in text.splitlines() if line.startswith("Adapter: ")] == [f"Adapter: {one}" for one in lines]
