"""The service's parts without a box: forms, texts, metrics, changes, templates, languages, rates, links."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as some
from msgspec import inspect as shapes

import mgmt_service
from appliance.box.known_weaknesses import KnownWeakness
from appliance.ceremonies import actions as kinds
from appliance.log.note import COSIGNATURE_V1, VerifierKey
from hsm.policy import Weakness
from mgmt_service import forms, people, rates, scripts, words
from mgmt_service.areas.drafting import Pick
from mgmt_service.areas.intakes import refusal_text
from mgmt_service.downloads import AT_ONCE, Slots
from mgmt_service.fields import Known, fields_of
from mgmt_service.languages import TRANSLATIONS
from mgmt_service.log_forms import Standing, form_of
from mgmt_service.people import Reach
from mgmt_service.problems import LinkRefused, Malformed, TooMany
from mgmt_service.process import THREADS
from mgmt_service.storage import Storage
from mgmt_service.texts import visible
from mgmt_service.vitals import read_exposition
from mgmt_service.writing import actions_of

ROOM = Path(mgmt_service.__file__).parent


# Languages


def messages() -> set[Any]:
    """Every message that code and templates ask for."""
    found = extract_from_dir(
        ROOM,
        [("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")],
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None},
        options_map={"templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}},
    )
    return {message for _, _, message, _, _ in found}


def test_every_message_is_in_chinese_and_none_is_left_over() -> None:
    known: dict[Any, Any] = {}
    for path in sorted((TRANSLATIONS / "zh_Hans_CN").glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, abort_invalid=True)
        for message in catalogue:
            if message.id:
                assert message.id not in known, f"{message.id!r} stands twice"
                known[message.id] = message.string
                assert all(message.string if isinstance(message.string, tuple) else (message.string,)), message.id
                errors = list(message.check(catalogue))
                assert not errors, (message.id, errors)
    assert messages() == set(known)


def test_every_action_has_a_word() -> None:
    assert set(words.ACTIONS) == set(scripts.ACTIONS)


def test_a_row_refused_is_told_in_the_readers_language() -> None:
    said = "There is no such bond: T-1"
    with mgmt_application().test_request_context(headers={"Accept-Language": "zh-CN"}):
        assert refusal_text("taken", "Taken") == "已被占用"
        assert refusal_text("event-refused", said) == f"函件此时不可发生该事件：{said}"
        assert refusal_text("unheard-of", said) == said
    with mgmt_application().test_request_context(headers={"Accept-Language": "en"}):
        assert refusal_text("taken", "Taken") == "Taken"
        assert refusal_text("event-refused", said) == said


def test_every_weakness_has_a_word() -> None:
    assert set(words.KEY_WEAKNESSES) == {one.value for one in Weakness}
    names = {one.name.lower().replace("_", "-"): one.value for one in Weakness}
    assert {name: str(text) for name, text in in_english(words.WEAKNESS_NAMES).items()} == names
    assert set(words.BOX_WEAKNESSES) == {one.label for one in KnownWeakness}


def in_english(table: dict[str, Any]) -> dict[str, str]:
    with mgmt_application().test_request_context():
        return {name: str(text) for name, text in table.items()}


# Texts


@given(some.text())
def test_nothing_hidden_is_left(text: str) -> None:
    shown = visible(text)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\u00ad")
    if text.isascii() and text.isprintable():
        assert shown == text


def test_chinese_and_names_with_accents_stay() -> None:
    for text in ("李娜", "Zoë Ångström", "“引号”—…", "Ünal, Çelik"):
        assert visible(text) == text


# Forms


def test_a_form_becomes_the_structure() -> None:
    tree = forms.nested(
        [("tenant", "demo"), ("key", " seal-2 "), ("signature_limit", ""), ("for_backup", "on"), ("days", "3,650")]
    )
    made = forms.coerce(shapes.type_info(kinds.GenerateKey), tree)
    assert made["key"] == "seal-2"
    assert made["for_backup"] is True
    assert "signature_limit" not in made


@pytest.mark.parametrize("text", ["{", "[", "[" * 5_000, '{"a"', "{}{"])
def test_a_text_that_looks_like_json_and_is_none_stays_a_text(text: str) -> None:
    """It is for the form to refuse (422), and was an error that nobody expected (500)."""
    made = forms.coerce(shapes.type_info(Pick), forms.nested([("shared", text)]))
    assert made["shared"] == text
    with pytest.raises(Malformed):
        forms.convert(made, Pick)


def test_what_is_too_much_is_refused() -> None:
    with pytest.raises(Malformed):
        forms.nested((f"a{number}", "x") for number in range(3000))
    with pytest.raises(Malformed):
        forms.nested([(".".join("a" * 20), "x")])
    with pytest.raises(Malformed):
        forms.nested([("a", "x"), ("a.b", "y")])


@given(some.lists(some.tuples(some.text(max_size=30), some.text(max_size=30)), max_size=20))
def test_no_form_breaks_the_reader(pairs: list[tuple[str, str]]) -> None:
    for action in (kinds.GenerateKey, kinds.SetApprovalPolicy, kinds.CreateTenant):
        try:
            forms.convert(forms.coerce(shapes.type_info(action), forms.nested(pairs)), action)
        except Malformed:
            continue


# Templates

WITNESS = str(VerifierKey("witness.example", bytes(range(32)), COSIGNATURE_V1))


def entered(action: type[msgspec.Struct], known: Known, *, all_of_it: bool = True) -> dict[str, Any]:
    """A form as its page would first send it, with plain words where it wants some; else where it requires some."""
    found: dict[str, Any] = {}
    for field in fields_of(form_of(action), "", known, {}):
        value: Any = field.value or ("x" if all_of_it or field.required else "")
        match field.kind:
            case "number":
                value = (
                    ""
                    if "below_bits" in field.path
                    else str(int(all_of_it))
                    if field.path == "needed"
                    else str(max(field.least or 0, 2))
                )
            case "check" | "picks":
                continue
            case "choice":
                value = field.choices[0][0]
            case "certificates":
                value = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
            case "text" if "country" in field.path:
                value = "CN"
            case "text" if "currency" in field.path:
                value = "CNY"
            case "text" if "up_to" in field.path:
                value = "100.00"
            case "text" | "list" if (
                field.path in {"backup", "public_key", "bundle", "certificates"} or "0-9a-f" in field.pattern
            ):
                value = "0" * 64
            case "list" if field.path == "calls":
                value = "begin letter"
            case "text" if "verifier_key" in field.path:
                value = WITNESS if field.path.startswith("newcomers.0") else ""
            case "text" if "address" in field.path:
                value = "https://witness.example" if field.path.startswith("newcomers.0") else ""
            case "instant" if field.row:
                value = ""
            case "list" if field.path == "policies":
                value = "1.2.3"
        if not all_of_it and not field.required and field.kind != "choice":
            value = ""
        at = found
        *places, last = field.path.split(".")
        for place in places:
            at = at.setdefault(place, {})
        at[last] = value
    return found


@pytest.mark.parametrize("tag", [tag for tag in scripts.ACTIONS if tag != "amend-constitution"])
def test_every_action_can_be_written(tag: str) -> None:
    known = Known(("demo",), ("demo", ""))
    with mgmt_application().test_request_context():
        given = entered(scripts.ACTIONS[tag], known)
        (made,) = actions_of(scripts.free_script([tag]), {}, [given])
    assert made.__struct_config__.tag == tag
    assert msgspec.json.decode(msgspec.json.encode(made), type=kinds.Action) == made


@pytest.mark.parametrize("tag", [tag for tag in scripts.ACTIONS if tag != "amend-constitution"])
def test_what_a_form_does_not_require_may_be_left_empty(tag: str) -> None:
    known = Known(("demo",), ("demo", ""))
    with mgmt_application().test_request_context():
        given = entered(scripts.ACTIONS[tag], known, all_of_it=False)
        (made,) = actions_of(scripts.free_script([tag]), {}, [given])
    assert made.__struct_config__.tag == tag


def test_lists_are_required_where_none_may_be_empty() -> None:
    known = Known(("demo",), ("demo", ""))
    lists = {}
    with mgmt_application().test_request_context():
        for tag, action in scripts.ACTIONS.items():
            if tag != "amend-constitution":
                fields = fields_of(action, "", known, {})
                lists[tag] = {one.path: one.required for one in fields if one.kind in {"list", "certificates"}}
    required = {tag: [path for path, wanted in found.items() if wanted] for tag, found in lists.items()}
    assert {tag: found for tag, found in required.items() if found} == {
        "back-up-keys": ["keys", "custodians"],
        "restore-keys": ["keys"],
        "import-certificate": ["chain"],
        "enrol-certificate": ["certificate"],
        "set-partner": ["sign_certificates", "encrypt_certificate"],
        "register-seal": ["certificates"],
    }
    assert lists["set-witnesses"] == {"witnesses": False, "witness_authorities": False}, "and ticks need none"


def test_rows_that_are_left_out_are_not_required() -> None:
    with mgmt_application().test_request_context():
        given = {
            "tiers": [{"up_to": "5", "currency": "CNY", "threshold": "1", "approvers": "ann"}, {"currency": "CNY"}]
        }
        for values, rows in (({}, [True, False, False]), (given, [True, True, False])):
            fields = {one.path: one for one in fields_of(kinds.SetApprovalPolicy, "", Known((), ()), values)}
            assert [fields[f"tiers.{at}.currency"].required for at in range(3)] == rows
            assert not any(fields[f"tiers.{at}.up_to"].required for at in range(3)), "empty: without end"


ENDS = {"0": {"algorithm": "", "below_bits": "", "until": ""},
        "1": {"algorithm": "sha256", "below_bits": "", "until": "2035-12-31T23:59"},
        "2": {"algorithm": "rsa", "below_bits": "3000", "until": "2028-12-31T23:59:59"}}  # fmt: skip
WITNESSES = {"tenant": "", "asked": "", "needed": "1", "witness_authorities": "", "revoked": "",
             "newcomers": {"0": {"verifier_key": WITNESS, "address": "https://witness.example"}}}  # fmt: skip


def formed(tag: str, given: dict[str, Any]) -> Any:
    with mgmt_application().test_request_context():
        (made,) = actions_of(scripts.free_script([tag]), {}, [given])
    return made


def test_ends_of_algorithms_can_all_be_taken_back() -> None:
    assert formed("set-algorithm-ends", {"ends": {"0": ENDS["0"]}}) == kinds.SetAlgorithmEnds(algorithms=[])
    assert formed("set-algorithm-ends", {}) == kinds.SetAlgorithmEnds(algorithms=[])


def test_rows_become_ends_of_algorithms_and_programs_may_write_the_texts() -> None:
    made = kinds.SetAlgorithmEnds(algorithms=["sha256=2035-12-31T23:59:00Z", "rsa<3000=2028-12-31T23:59:59Z"])
    assert formed("set-algorithm-ends", {"ends": ENDS}) == made
    assert formed("set-algorithm-ends", {"algorithms": made.algorithms}) == made


def test_ticks_and_rows_become_witnesses() -> None:
    known = f"{VerifierKey('other.example', bytes(32), COSIGNATURE_V1)}=https://other.example"
    made = formed("set-witnesses", WITNESSES | {"asked": ["", known], "needed": "2"})
    assert made == kinds.SetWitnesses(tenant=None, witnesses=[known, f"{WITNESS}=https://witness.example"], needed=2)
    assert formed("set-witnesses", {"tenant": "demo", "asked": "", "needed": "0"}).witnesses == []


@pytest.mark.parametrize(
    ("tag", "given", "path"),
    [
        ("set-algorithm-ends", {"ends": ENDS | {"3": ENDS["1"]}}, "ends.3.algorithm"),
        ("set-algorithm-ends", {"ends": {"0": {}, "1": {"until": "2035-12-31T23:59"}}}, "ends.1.algorithm"),
        ("set-algorithm-ends", {"ends": {"0": {}, "1": ENDS["1"] | {"below_bits": "3000"}}}, "ends.1.below_bits"),
        ("set-algorithm-ends", {"ends": {"0": ENDS["1"] | {"until": ""}}}, "ends.0.until"),
        ("set-algorithm-ends", {"ends": {"0": ENDS["1"] | {"until": "2035-02-31T00:00"}}}, "ends.0.until"),
        ("set-algorithm-ends", {"ends": {"0": {}, "1": ENDS["1"] | {"until": "soon"}}}, "ends.1.until"),
        ("set-witnesses", WITNESSES | {"needed": "2"}, "needed"),
        ("set-witnesses", WITNESSES | {"needed": "0"}, "needed"),
        ("set-witnesses", WITNESSES | {"needed": "many"}, "needed"),
        ("set-witnesses", WITNESSES | {"revoked": WITNESS}, "revoked"),
        ("set-witnesses", WITNESSES | {"asked": f"{WITNESS}=https://x.example"}, "newcomers.0.verifier_key"),
        ("set-witnesses", WITNESSES | {"newcomers": {"0": {}, "1": {"verifier_key": "x"}}}, "newcomers.1.verifier_key"),
        (
            "set-witnesses",
            WITNESSES | {"newcomers": {"0": {"verifier_key": WITNESS, "address": "http://far.example"}}},
            "newcomers.0.address",
        ),
        ("renew-logs", {"hash": "md5"}, "hash"),
    ],
)
def test_what_is_wrong_with_witnesses_and_ends_is_told_at_its_field(tag: str, given: dict[str, Any], path: str) -> None:
    with pytest.raises(forms.FieldError) as wrong:
        formed(tag, given)
    assert wrong.value.path == f"actions.0.{path}"


@given(
    some.dictionaries(some.text(max_size=8), some.dictionaries(some.sampled_from(["algorithm", "until"]), some.text()))
)
def test_no_rows_break_the_reader(rows: dict[str, dict[str, str]]) -> None:
    try:
        formed("set-algorithm-ends", {"ends": rows})
    except Malformed:
        return


def test_hashes_that_logs_were_under_are_no_choice() -> None:
    with mgmt_application().test_request_context():
        for gone, left in ((frozenset(), ["sha512", "sm3"]), (frozenset({"sha512"}), ["sm3"])):
            known = Known((), ("",), standing=Standing(hashes=gone))
            (field,) = fields_of(kinds.RenewLogs, "", known, {})
            assert [value for value, _text in field.choices] == left
            assert "cinnabar log renew" in field.help


def mgmt_application() -> Any:
    from flask import Flask

    from mgmt_service import languages

    app = Flask(__name__)
    languages.install(app)
    return app


def test_a_template_puts_what_is_shared_into_every_step() -> None:
    script = scripts.BY_SLUG["seal-key"]
    shared = {"tenant": "demo", "token": "demo", "key": "seal-2"}
    until = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=700)).strftime("%Y-%m-%dT00:00")
    steps = [
        {"scheme": "ecdsa-p256-sha256", "until": until},
        {"authority": "seal-ca", "common_name": "Seal", "organisation": "Demo", "country": "CN", "days": "365"},
    ]
    made = actions_of(script, shared, steps)
    assert [type(one) for one in made] == [kinds.GenerateKey, kinds.IssueCertificate, kinds.ActivateKey]
    assert {one.key for one in made} == {"seal-2"}  # type: ignore[attr-defined]
    assert made[0].purpose == "seal"  # type: ignore[attr-defined]


def test_what_is_wrong_names_its_field() -> None:
    script = scripts.BY_SLUG["seal-key"]
    with pytest.raises(forms.FieldError) as wrong:
        actions_of(script, {"tenant": "demo", "token": "demo", "key": "Not a name"}, [{"scheme": "x"}])
    assert wrong.value.path == "shared.key"


# Metrics


def test_an_exposition_is_read() -> None:
    metrics = read_exposition(
        '# HELP a b\ncinnabar_x_total{worker="0",key="a"} 3.0\ncinnabar_x_total{worker="0",key="b"} 4\nbroken\n'
        'cinnabar_y 1e3\ncinnabar_z{key="with \\" mark"} 1\n'
    )
    assert metrics.total("cinnabar_x_total") == 7
    assert metrics.total("cinnabar_x_total", key="a") == 3
    assert metrics.total("cinnabar_y") == 1000


@given(some.text())
def test_no_exposition_breaks_the_reader(text: str) -> None:
    read_exposition(text)


# Rates and links


def test_a_bucket_leaks(tmp_path: Path) -> None:
    buckets = rates.Rates(Storage(tmp_path))
    quick = rates.Rate("test", burst=3, a_minute=60_000_000)
    slow = rates.Rate("slow", burst=3, a_minute=0)
    for _ in range(3):
        buckets.take(slow, "a")
    with pytest.raises(TooMany):
        buckets.take(slow, "a")
    buckets.take(slow, "b")
    for _ in range(50):
        buckets.take(quick, "a")


def test_a_passkey_covers_no_more_than_its_reach() -> None:
    own, placing, everywhere = Reach(frozenset({"tenant/a"})), Reach(None, frozenset({"tenant/b"})), Reach()
    assert [own.shows(one) for one in ("tenant/a", "tenant/b", "box")] == [True, False, False]
    assert [placing.shows(one) for one in ("tenant/a", "tenant/b", "tenant/new")] == [True, False, True]
    assert everywhere.covers(own)
    assert everywhere.covers(placing)
    assert placing.covers(own)
    assert not placing.covers(everywhere)
    assert not own.covers(placing)
    assert not own.covers(everywhere)
    assert not own.covers(Reach(frozenset({"tenant/b"})))


def test_slow_readers_leave_room_for_others() -> None:
    """A download keeps a thread for as long as its reader likes; twenty of one auditor stopped everybody's pages."""
    slots = Slots(at_once=4, of_one=2)
    first, _ = slots.take("ann"), slots.take("ann")
    with pytest.raises(TooMany):
        slots.take("ann")
    leave = [slots.take("bo"), slots.take("cai")]
    with pytest.raises(TooMany):
        slots.take("dora")
    first()
    first()  # leaves once
    slots.take("dora")
    with pytest.raises(TooMany):
        slots.take("ann")
    for one in leave:
        one()
    slots.take("ann")
    assert AT_ONCE < THREADS, "the pages have threads that no reader holds"


def test_a_link_that_is_too_old_is_refused(tmp_path: Path) -> None:
    known = people.People(Storage(tmp_path))
    code = known.invite("ann", "Ann", seconds=-1)
    with pytest.raises(LinkRefused):
        known.invited(code)


def test_readers_of_an_older_box_stay(tmp_path: Path) -> None:
    made = Storage(tmp_path)
    with made.transaction() as database:
        database.execute("DROP TABLE readers")
        database.execute(
            "CREATE TABLE readers (person TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('auditor', 'supervisor')),"
            " scope TEXT NOT NULL, named_by TEXT NOT NULL, made INTEGER NOT NULL, PRIMARY KEY (person, role, scope))"
        )
        database.execute("INSERT INTO people (id, name) VALUES ('rio', 'Rio')")
        database.execute("INSERT INTO readers VALUES ('rio', 'auditor', 'tenant/demo', 'ann', 1)")
    made.close()
    opened = Storage(tmp_path)
    with opened.transaction() as database:
        database.execute("INSERT INTO readers VALUES ('rio', 'overseer', 'tenant/demo', 'ann', 2)")
    assert [one["role"] for one in opened.all("SELECT role FROM readers ORDER BY made")] == ["auditor", "overseer"]
    opened.close()
