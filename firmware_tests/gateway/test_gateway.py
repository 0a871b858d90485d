"""Partners' messages at a running box: letters begun, followed and read; taken once; everything else refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from appliance.ceremonies.actions import SetLetterTerms
from appliance.letters.event import read_event
from appliance.recorder import RecorderClient, new_run_id
from firmware_tests.gateway import partner as theirs
from firmware_tests.gateway.conftest import Docked
from firmware_tests.gateway.docking import Partner
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.letters.test_instructions import consent, question
from firmware_tests.running import wait_until


def bid() -> dict[str, object]:
    return FIELDS | {"tender_code": f"T-{uuid.uuid4().hex[:12]}"}


def begin(fields: dict[str, object] | None = None) -> dict[str, object]:
    return {"call": "begin", "request": {"kind": "bid-bond", "fields": fields or bid()}}


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"].removeprefix("urn:cinnabar:problem:"))


def told(answer: dict[str, Any]) -> str:
    """Of a refusal inside an answer."""
    return str(answer["body"]["type"].removeprefix("urn:cinnabar:problem:"))


@pytest.mark.parametrize("name", ["srm-demo", "rival-demo", "srm-other"])
def test_a_letter_is_begun_followed_and_read_by_messages(docked: Docked, name: str) -> None:
    partner = docked.partners[name]
    raw = partner.write(begin())
    answer = partner.post(raw)
    assert answer.headers["content-type"] == partner.media, answer.text
    begun = partner.read(answer.content)
    assert begun["status"] == 200
    assert begun["request"] == hashlib.sha256(raw).hexdigest()
    letter = begun["body"]["happened"]["letter"]
    event = read_event(base64.b64decode(begun["body"]["happened"]["event"]))
    assert event.actor.application == f"{partner.name}-{partner.tenant}"
    surrendered = partner.ask({"call": "event", "letter": letter, "request": {"event": "surrender"}})
    assert surrendered["status"] == 200
    read = partner.ask({"call": "letter", "letter": letter})
    assert (read["status"], read["body"]["head"]) == (200, surrendered["body"]["head"])
    with client_of(docked.box, partner.tenant) as client:
        assert client.letter(letter).head == read["body"]["head"]


def record_of(docked: Docked, partner: Partner, nonce: str) -> str:
    """Id of the record of a message."""

    async def ask() -> list[bytes]:
        client = await RecorderClient.connect(docked.box.home.recorder_socket, new_run_id(), lambda: (0, {}))
        try:
            digest = hashlib.sha256(nonce.encode()).digest()
            return await client.query("partner_message", partner.tenant, partner.name, digest)  # type: ignore[no-any-return]
        finally:
            await client.close()

    return asyncio.run(ask())[1].hex()


def test_every_message_and_its_answer_are_a_record(docked: Docked, srm: Partner) -> None:
    raw = srm.write(begin())
    answer = srm.post(raw).content
    with client_of(docked.box) as client:
        record = client.record(record_of(docked, srm, json.loads(raw)["nonceStr"]))
        letter = client.record(srm.read(answer)["body"]["happened"]["record"])
    assert json.loads(record.artifact) == {"message": raw.decode(), "answer": answer.decode()}
    content = json.loads(record.content)
    assert (content["kind"], content["application"], content["key"]) == ("message", "srm-demo", "demo-seal")
    assert content["content_digest"] == hashlib.sha256(raw).hexdigest()
    assert letter.index < record.index <= letter.index + 2  # of one transaction


@pytest.mark.parametrize("name", ["srm-demo", "rival-demo"])
def test_the_same_message_is_answered_with_the_same_bytes_and_happens_once(docked: Docked, name: str) -> None:
    partner = docked.partners[name]
    raw = partner.write(begin())
    with ThreadPoolExecutor(6) as pool:
        answers = [one.content for one in pool.map(lambda _: partner.post(raw), range(6))]
    assert len(set(answers)) == 1
    letter = partner.read(answers[0])["body"]["happened"]["letter"]
    assert partner.ask({"call": "letter", "letter": letter})["body"]["number"] == 1


def test_a_nonce_with_another_message_is_replayed_and_is_each_partners_own(docked: Docked, srm: Partner) -> None:
    nonce = f"n-{uuid.uuid4().hex}"
    first = srm.post(srm.write(begin(), nonce=nonce))
    assert first.status_code == 200
    second = srm.post(srm.write(begin(), nonce=nonce))
    assert (second.status_code, problem(second)) == (409, "message-replayed")
    for name in ("rival-demo", "srm-other"):
        assert docked.partners[name].ask(begin(), nonce=nonce)["status"] == 200


def test_a_refusal_is_an_answer_and_stays_one(docked: Docked, srm: Partner, rival: Partner) -> None:
    fields = bid()
    raw = srm.write(begin(fields | {"amount": {"amount": "1", "currency": "XXX"}}))
    refused = srm.post(raw)
    assert refused.status_code == 200
    assert told(srm.read(refused.content)) == "field-refused"
    assert srm.post(raw).content == refused.content
    assert srm.ask(begin(fields))["status"] == 200
    assert told(srm.ask(begin(fields))) == "taken"
    other = docked.partners["srm-other"].ask(begin())["body"]["happened"]["letter"]
    for letter in (other, "0" * 32):
        assert told(srm.ask({"call": "letter", "letter": letter})) == "not-found"
    wrong: list[tuple[object, str]] = [
        ({"call": "begin", "request": {"kind": "contract", "fields": {}}}, "call-not-permitted"),
        ({"call": "open"}, "call-unreadable"),
        ({"call": "begin", "letter": "0" * 32}, "call-unreadable"),
        ({"call": "event"}, "call-unreadable"),
        ({"call": "begin", "request": {"kind": "bid-bond", "more": 1}}, "invalid-member"),
        (b"not json", "call-unreadable"),
        (b'{"call":"letter","letter":"' + b"0" * 32 + b'","call":"begin"}', "call-unreadable"),
        (b'{"call":"begin","request":{"kind":"bid-bond","kind":"contract"}}', "call-unreadable"),
        (b"[" * 5000, "call-unreadable"),
    ]
    for content, code in wrong:
        for partner in (srm, rival):
            answer = partner.ask(content)
            assert told(answer) == code, content
            assert answer["status"] == answer["body"]["status"]


def test_strangers_messages_are_refused_alike(docked: Docked, srm: Partner, rival: Partner) -> None:
    other = docked.partners["srm-other"]
    sheet = srm.sheet()
    own = json.loads(srm.write(begin()))
    raws = {
        "of another partner": other.write(begin(), sender=sheet["partner"], receiver=sheet["tenant"]),
        "to another tenant": srm.write(begin(), sender=other.sheet()["partner"], receiver=other.sheet()["tenant"]),
        "altered": json.dumps(own | {"data": own["data"][:-8] + "AAAAAAA="}).encode(),
        "a member twice": json.dumps(own)[:-1].encode() + b',"sign":"AA=="}',
        "nothing of it": b"{}",
        "no JSON": os.urandom(64),
    }
    answers = {what: srm.post(raw) for what, raw in raws.items()}
    assert {(one.status_code, one.content) for one in answers.values()} == {(403, answers["no JSON"].content)}
    assert problem(answers["no JSON"]) == "message-refused"
    none = srm.write(begin(), receiver=sheet["tenant"])
    wrong_type = srm.http.post(srm.path, content=none, headers={"content-type": "application/jose"})
    assert wrong_type.status_code == 415
    large = srm.post(bytes(64 << 20))  # more than the front takes of anybody
    assert large.status_code == 413
    downgraded = theirs.write_jose(
        rival.party, base64.b64decode(rival.sheet()["keys"][0]["key"]), b"{}", rival.sheet()["partner"],
        rival.sheet()["tenant"], f"n-{uuid.uuid4().hex}", int(time.time()), alg="none",
    )  # fmt: skip
    assert problem(rival.post(downgraded)) == "message-refused"


@pytest.mark.parametrize("away_s", [-3600, 3600])
def test_a_message_out_of_time_is_refused_and_its_nonce_stays_new(srm: Partner, away_s: int) -> None:
    nonce = f"n-{uuid.uuid4().hex}"
    late = srm.post(srm.write(begin(), nonce=nonce, time_ms=int((time.time() + away_s) * 1000)))
    assert (late.status_code, problem(late)) == (409, "message-out-of-time")
    assert srm.ask(begin(), nonce=nonce)["status"] == 200


def test_a_partner_reaches_its_gateway_and_nothing_else(docked: Docked, srm: Partner) -> None:
    paths = ["/v1/letters", "/v1/quota", "/v1/openapi.json", "/v1/gateway/rival", "/v1/gateway/none", "/v1/nothing"]
    answers = [srm.http.get(path) for path in paths]
    assert {one.status_code for one in answers} == {404}
    assert len({one.content for one in answers[:3]}) == 1
    assert answers[3].content == answers[4].content
    assert srm.post(srm.write(begin()), "/v1/gateway/rival").status_code == 404
    with docked.box.http("demo") as application:
        assert application.get("/v1/gateway/srm").status_code == 404
        assert (
            application.post(srm.path, content=srm.write(begin()), headers={"content-type": srm.media}).status_code
            == 404
        )


def test_killed_workers_and_recorders_take_a_message_once(docked: Docked, srm: Partner) -> None:
    raw = srm.write(begin())
    first = srm.post(raw).content
    for name in ("recorder", "api-0", "api-1"):
        pid = docked.box.processes().get(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def again() -> bool:
        try:
            answer = srm.post(raw)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.content == first

    wait_until(again, 60, "the same answer")
    letter = srm.read(first)["body"]["happened"]["letter"]
    assert srm.ask({"call": "letter", "letter": letter})["body"]["number"] == 1


def test_what_officers_decide_of_a_partner_holds_at_once(docked: Docked, rival: Partner) -> None:
    docked.governed.decide([docked.profile("rival-demo", calls=["letter"], kinds=[])])
    assert rival.sheet()["version"] == 2
    assert told(rival.ask(begin())) == "call-not-permitted"
    docked.governed.decide([docked.profile("rival-demo")])
    assert rival.ask(begin())["status"] == 200


NO_LIMITS = 'format = "cinnabar-limits/1"\nversion = {}\n'
ONE_BIDDER = """
[[limits]]
counter = "bid-bond/bidder"
currency = "CNY"
tiers = [{ up_to = "76543" }]
warn_at = ["10"]
"""


def test_a_partner_learns_nothing_of_what_its_tenant_counts_and_allows(docked: Docked, srm: Partner) -> None:
    def put(version: int, more: str = "") -> None:
        docked.governed.decide([SetLetterTerms(tenant="demo", terms=NO_LIMITS.format(version) + more)])

    bidder = {"name": "华南市政建设有限公司", "id": uuid.uuid4().hex[:18].upper()}

    def of_bidder(amount: str, **more: Any) -> dict[str, Any]:
        asked = begin(bid() | {"bidder": bidder, "amount": {"amount": amount, "currency": "CNY"}})
        asked["request"] |= more
        return srm.ask(asked)

    made_up = [{"approver": "x", "form": "cms", "policy": "x", "signature": "", "step": 7}]

    put(1, ONE_BIDDER)
    try:
        begun = of_bidder("34567.00")
        assert (begun["status"], begun["body"]["warnings"]) == (200, [])  # the limit's tenth is passed
        with client_of(docked.box) as client:
            warned = client.warnings().warnings
            assert [one.what for one in warned][-1:] == ["limit-warning"]
            assert bidder["id"] in warned[0].whom
        refused = of_bidder("54321.00")
        assert told(refused) == "letter-limit-exceeded"
        assert refused["body"]["detail"] == refused["body"]["title"] + "."
        below, above = (of_bidder(amount, approvals=made_up) for amount in ("1.00", "54321.00"))
        assert told(below) == "approval-missing"
        assert below["body"] == above["body"], "what is not counted as refused tells nothing of the counter"
    finally:
        put(2)


def test_a_partner_learns_of_other_kinds_letters_no_more_than_of_none(docked: Docked, srm: Partner) -> None:
    docked.governed.decide([docked.profile("srm-demo", kinds=["query-receipt"])])
    try:
        with client_of(docked.box) as client:
            good = consent(client)
            known = {
                "of a kind outside the profile": client.begin_letter("bid-bond", bid()).happened.letter,
                "too narrow": consent(client, scope=[{"item": "社保缴纳"}]),
                "of somebody else": consent(client, recipient={"name": "别家征信", "id": "91440101MA5COTHER1"}),
                "for something else": consent(client, purpose="贷后管理"),
            }
            heads = {what: client.letter(letter).head for what, letter in known.items()}

        def ask(letter: str) -> dict[str, Any]:
            return srm.ask({"call": "begin", "request": {"kind": "query-receipt", "fields": question(letter)}})

        none = ask("0" * 32)["body"]
        assert none.pop("type").endswith(":condition-not-met")
        none.pop("sealed")
        for what, letter in known.items():
            refused = ask(letter)["body"]
            assert refused.pop("type").endswith(":condition-not-met"), what
            statement = base64.b64decode(refused.pop("sealed")["seal"])
            assert refused == none, what
            assert b'"head":null,"kind":null' in statement, what
            assert heads[what].encode() not in statement, what
        assert ask(good)["status"] == 200  # looked at, all the same
    finally:
        docked.governed.decide([docked.profile("srm-demo")])
