"""Kinds of letters are installed by a tenant's quorum: sound, rising, the very bytes that it saw."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec
import pytest

from appliance.box.kinds import kinds_of
from appliance.box.settings import TenantSettings
from appliance.ceremonies import DocumentRefused, read_proposal
from appliance.ceremonies.actions import InstallKind, SetApprovalPolicy
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.registry import find_executor
from appliance.letters.shipped import shipped
from firmware_tests.keymaster.room import TENANT, Bench, Life

FIRST = re.sub(r"(?m)^version = \d+$", "version = 1", shipped()["bid-bond"].decode())
SECOND = FIRST.replace("version = 1", "version = 2")
OFFICERS = ["ann", "bo", "cai", "dan"]
THIRD = FIRST.replace("version = 1", "version = 3")
CIRCLE = """[[events.issue.conditions]]
letter = "other"
kinds = ["bid-bond"]
states = ["issued"]

[events.issue.data.other]
label = { en = "Other", zh = "另一" }
type = "letter"

[events.issue.approvals]"""


def installing(file: str, tenant: str | None = TENANT) -> InstallKind:
    return InstallKind(tenant=tenant, file=file)


async def install(life: Life, file: str) -> dict[str, Any]:
    """Decide and execute; then once more, as after a crash. The facts."""
    name = await life.approved(installing(file))
    shown = await life.desk.execute(name, 20.0)
    assert shown["state"] == "executed", shown["error"]
    (step,) = (await life.desk.proposal(name))["steps"]
    proposal, law = read_proposal(life.engine.row(name).text), life.room.constitutions.in_force()
    ctx = ExecutionContext(life.room, proposal, name, 0, 1, law, life.engine.received(name), life.engine.clock())
    again = await find_executor(installing(file))[0](ctx, installing(file))
    assert again.facts == step["facts"]
    return again.facts


@pytest.fixture
def tenants(bench: Bench) -> Bench:
    made = [TenantSettings(name=TENANT, token="box", data_key=f"secrets/{TENANT}.content-key")]
    bench.settings = msgspec.structs.replace(bench.settings, tenants=made)
    return bench


def test_a_kind_is_installed_version_by_version(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        await life.found()
        digest = hashlib.sha256(FIRST.encode()).hexdigest()
        facts = {"tenant": TENANT, "kind": "bid-bond", "version": 1, "digest": digest, "missing_policies": ["issue"]}
        assert await install(life, FIRST) == facts
        (missing,) = await life.desk.methods()["missing_policies"](TENANT)
        assert missing["policy"] == "issue"
        assert {one["currency"] for one in missing["tiers"]} == {"CNY", "USD"}
        tiers = [(one["up_to"], one["threshold"], one["approvers"]) for one in missing["tiers"]]
        assert tiers == [("1000000", 1, OFFICERS), ("", 2, OFFICERS)] * 2
        digest = await life.approved(msgspec.convert(missing, SetApprovalPolicy))
        assert (await life.desk.execute(digest, 20.0))["state"] == "executed"
        assert await life.desk.methods()["missing_policies"](TENANT) == []
        overtaken = await life.approved(installing(SECOND + "# another hand\n"))
        assert (await install(life, SECOND))["version"] == 2
        with pytest.raises(DocumentRefused, match="does not follow 2"):
            await life.desk.execute(overtaken, 20.0)
        assert kinds_of(tenants.home, TENANT) == [FIRST.encode(), SECOND.encode()]
        assert await life.desk.methods()["kinds"](TENANT) == [SECOND.encode()]
        assert await life.desk.methods()["kinds"]("nobody") == []
        for wrong, said in (
            ("a = [", "not TOML"),
            (THIRD.replace("\n", "\r\n"), "line feed alone"),
            (FIRST, "version 1 of bid-bond does not follow 2"),
            (THIRD.replace('value = { move = "close" }', ""), "events.expire.value: .* with value left"),
            (THIRD.replace('not_after = "opening"', 'not_after = "never"'), "not_after: there is no field never"),
            (THIRD.replace("[events.issue.approvals]", CIRCLE), "can never happen: bid-bond.issue -> bid-bond.issue"),
        ):
            with pytest.raises(DocumentRefused, match=said):
                await life.submit(installing(wrong))
        with pytest.raises(DocumentRefused, match="a tenant's"):
            await life.submit(installing(SECOND, None))

    tenants.run(body)


def test_a_kind_that_waits_with_another_one_in_a_circle_is_refused(tenants: Bench) -> None:
    """Each is sound alone; the second one meets the first."""

    def waiting(name: str, other: str) -> str:
        circle = CIRCLE.replace('kinds = ["bid-bond"]', f'kinds = ["{other}"]')
        return FIRST.replace('id = "bid-bond"', f'id = "{name}"').replace("[events.issue.approvals]", circle)

    async def body(life: Life) -> None:
        await life.found()
        await install(life, waiting("order", "delivery"))
        with pytest.raises(DocumentRefused, match=r"delivery\.issue -> order\.issue -> delivery\.issue"):
            await life.submit(installing(waiting("delivery", "order")))

    tenants.run(body)


def test_a_version_that_would_not_meet_the_letters_of_an_older_one_is_refused(tenants: Bench) -> None:
    """Its register of uniqueness in another order: the same bond could be issued again beside one of version 1. Version
    2 left the register out, so that the newest alone does not tell."""
    register = '[unique.bid]\nfields = ["tender_code", "bidder.name"]\nfree_in = ["surrendered"]\n'
    turned = register.replace('"tender_code", "bidder.name"', '"bidder.name", "tender_code"')
    assert register in FIRST

    async def body(life: Life) -> None:
        await life.found()
        await install(life, FIRST)
        with pytest.raises(DocumentRefused, match="bid-bond 1 has this rule with its fields in another order"):
            await life.submit(installing(SECOND.replace(register, turned)))
        await install(life, SECOND.replace(register, ""))
        with pytest.raises(DocumentRefused, match="bid-bond 1 has this rule with its fields in another order"):
            await life.submit(installing(THIRD.replace(register, turned)))

    tenants.run(body)
