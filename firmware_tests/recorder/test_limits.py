"""Key states, signature limits and daily quotas, at commit; a governed box, which takes power from ceremonies only."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import BadRequest, Conflict, NotAuthorised
from appliance.recorder import RecorderClient, new_run_id
from appliance.recorder.errors import Governed, KeyExhausted, KeyExpired, KeyStopped, QuotaExceeded
from appliance.recorder.limits import DAY_US, Limits, Quota, Taken, Used, counted, publish
from appliance.recorder.messages import BOX_LOG, Entry, Idempotency, KeyEntry
from appliance.recorder.register import Caller
from firmware_tests.recorder.running import CERTIFICATE, FOREIGN, OTHER, Recorder, entry, uuid7

CEREMONY = "c" * 64
PERSON = Caller("acme", 1, "app", 1, True, frozenset("*"), 0, 1 << 40)


async def connect(recorder: Recorder) -> RecorderClient:
    return await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}))


async def append(client: RecorderClient, *entries: Entry, application: str = "app") -> object:
    certificate = CERTIFICATE if application == "app" else OTHER
    return await client.append("acme", application, certificate, list(entries))


def of_log(recorder: Recorder, log: str) -> list[dict[str, object]]:
    """The administrative records of a log."""
    with recorder.admin() as admin:
        rows = admin.query("read_records", log, 0, 1000)
    return [msgspec.json.decode(msgspec.msgpack.decode(row[7])[1]) for row in rows if row[3] == "administration"]


def test_a_stopped_key_is_refused_at_commit_pushed_and_on_record(recorder: Recorder) -> None:
    async def scene() -> None:
        client = await connect(recorder)
        await append(client, entry())
        for state in ("suspended", "deactivated"):
            with recorder.admin() as admin:
                admin.set_key_state("acme", "tsu", state)  # type: ignore[arg-type]
            with pytest.raises(KeyStopped, match=state):
                await append(client, entry())
            assert client.register.keys == [KeyEntry("acme", "tsu", state, None, None, [])]  # type: ignore[arg-type]
            await append(client, entry(key="seal"))
        with recorder.admin() as admin:
            admin.set_key_state("acme", "tsu", "active")
        await append(client, entry())
        with recorder.admin() as admin:
            admin.set_key_state("acme", "tsu", "compromised", since=1_700_000_000)
            with pytest.raises(Conflict, match="never comes back"):
                admin.set_key_state("acme", "tsu", "active")
        with pytest.raises(KeyStopped):
            await append(client, entry())
        await client.close()

    asyncio.run(scene())
    told = [record for record in of_log(recorder, "acme") if "key" in record]
    assert [record["action"] for record in told] == [
        "key-suspended", "key-deactivated", "key-active", "key-compromised",
    ]  # fmt: skip
    assert told[-1]["since"] == 1_700_000_000


def test_the_same_again_changes_nothing_and_a_stopped_key_keeps_its_limits(recorder: Recorder) -> None:
    with recorder.admin() as admin:
        for _ in range(2):
            admin.set_key_state("acme", "tsu", "active", until=1 << 33, limit=7, applications=["app", "app"])
            admin.set_quota("acme", signatures=5)
        admin.set_key_state("acme", "tsu", "suspended")
        (shown,) = admin.query("key_states", "acme")
        assert (shown["until"], shown["limit"], shown["applications"]) == (1 << 33, 7, ["app"])
        assert admin.query("key_states", "globex") == []
        with pytest.raises(BadRequest):
            admin.set_key_state("acme", "../tsu", "suspended")
    changes = [record["action"] for record in of_log(recorder, "acme")]
    assert changes.count("key-active") == changes.count("set-quota") == changes.count("key-suspended") == 1


def test_a_key_ends_and_serves_its_applications_only(recorder: Recorder) -> None:
    async def scene() -> None:
        client = await connect(recorder)
        with recorder.admin() as admin:
            admin.set_key_state("acme", "tsu", "active", applications=["other"])
        with pytest.raises(NotAuthorised):
            await append(client, entry())
        await append(client, entry(), application="other")
        with recorder.admin() as admin:
            admin.set_key_state("acme", "tsu", "active", until=int(time.time()) - 1)
        with pytest.raises(KeyExpired):
            await append(client, entry())
        await client.close()

    asyncio.run(scene())


def test_a_limit_holds_exactly_over_clients_and_restarts(recorder: Recorder) -> None:
    async def spend(client: RecorderClient) -> int:
        answers = await asyncio.gather(*(append(client, entry()) for _ in range(40)), return_exceptions=True)
        assert all(isinstance(answer, KeyExhausted) for answer in answers if isinstance(answer, Exception))
        return sum(not isinstance(answer, Exception) for answer in answers)

    async def scene() -> int:
        clients = [await connect(recorder) for _ in range(3)]
        passed = sum(await asyncio.gather(*map(spend, clients)))
        for client in clients:
            await client.close()
        return passed

    with recorder.admin() as admin:
        admin.set_key_state("acme", "tsu", "active", limit=50)
    assert asyncio.run(scene()) == 50
    recorder.kill()
    recorder.start()
    assert asyncio.run(scene()) == 0
    with recorder.admin() as admin:
        assert admin.query("key_states", "acme")[0]["signatures"] == 50
        assert admin.query("tree_size", "acme") == 5 + 1 + 50
        admin.set_key_state("acme", "tsu", "active", limit=60)
    assert asyncio.run(scene()) == 10


def test_a_refusal_says_how_much_was_left_and_takes_nothing(recorder: Recorder) -> None:
    async def scene() -> None:
        client = await connect(recorder)
        with recorder.admin() as admin:
            admin.set_quota("acme", signatures=10, stamps=4)
        with pytest.raises(QuotaExceeded, match="4 stamps") as caught:
            await append(client, *(entry() for _ in range(6)))
        assert caught.value.left == 4
        await append(client, *(entry() for _ in range(4)))
        with pytest.raises(QuotaExceeded):
            await append(client, entry())
        sealed = Entry(entry().record_id, "seal", "seal", entry().time, os.urandom(32), b"x")
        await append(client, sealed)
        again = await client.append("globex", "app", FOREIGN, [entry()])
        assert again.first_index >= 0  # another tenant's quota is its own
        await client.close()

    asyncio.run(scene())
    with recorder.admin() as admin:
        assert admin.query("quota", "acme")["used"][:2] == [5, 4]
        assert admin.query("quota", "globex")["quota"] == [None, None, None]


def test_what_was_answered_is_answered_again_beyond_the_quota(recorder: Recorder) -> None:
    async def scene() -> None:
        client = await connect(recorder)
        with recorder.admin() as admin:
            admin.set_quota("acme", signatures=1)
        key = Idempotency(uuid7(), hashlib.sha256(b"").digest())
        first = await client.append("acme", "app", CERTIFICATE, [entry()], key)
        again = await client.append("acme", "app", CERTIFICATE, [entry()], key)
        assert again.first_index == first.first_index
        assert await client.query("key_known", "acme", "app", key.key) is True
        assert await client.query("key_known", "acme", "app", uuid7()) is False
        await client.close()

    asyncio.run(scene())


def test_bulk_requests_and_records_fill_the_storage_quota(recorder: Recorder) -> None:
    async def scene() -> None:
        client = await connect(recorder)
        with recorder.admin() as admin:
            admin.set_quota("acme", storage_bytes=10_000)
        key = Idempotency(uuid7(), hashlib.sha256(b"").digest())
        await client.job_create("acme", "app", CERTIFICATE, os.urandom(22), "seals", 1, b"x" * 6_000, key)
        with pytest.raises(QuotaExceeded):
            await append(client, entry(body=b"x" * 4_000))
        await append(client, entry(body=b"x" * 3_000))
        again = Idempotency(uuid7(), hashlib.sha256(b"").digest())
        with pytest.raises(QuotaExceeded):
            await client.job_create("acme", "app", CERTIFICATE, os.urandom(22), "seals", 1, b"x" * 2_000, again)
        await client.close()

    asyncio.run(scene())


def test_a_slice_of_a_job_stops_at_the_limit(recorder: Recorder) -> None:
    async def scene() -> None:
        client = await connect(recorder)
        with recorder.admin() as admin:
            admin.set_key_state("acme", "tsu", "active", limit=3)
        job, key = os.urandom(22), Idempotency(uuid7(), hashlib.sha256(b"").digest())
        await client.job_create("acme", "app", CERTIFICATE, job, "seals", 5, b"", key)
        entries = [entry() for _ in range(5)]
        verdicts = [one.record_id for one in entries]
        with pytest.raises(KeyExhausted) as caught:
            await client.job_slice(job, 0, entries, verdicts, CERTIFICATE)
        assert caught.value.left == 3
        await client.job_slice(job, 0, entries[:3], verdicts[:3], CERTIFICATE)
        await client.close()

    asyncio.run(scene())


def test_a_governed_box_takes_power_from_ceremonies_only(recorder: Recorder) -> None:
    with recorder.admin() as admin:
        admin.govern("d" * 64)
        admin.govern("d" * 64)
        assert admin.query("governed") is True
        for gives in (
            lambda **how: admin.enrol_tenant("new", **how),
            lambda **how: admin.enrol_application("acme", "new", ["*"], **how),
            lambda **how: admin.enrol_certificate("acme", "app", b"n" * 32, 0, 1, **how),
            lambda **how: admin.set_quota("acme", signatures=1, **how),
            lambda **how: admin.set_key_state("acme", "tsu", "active", limit=1, **how),
        ):
            with pytest.raises(Governed):
                gives()
            gives(ceremony=CEREMONY)
        # What takes power away is still an administrator's.
        admin.set_state("suspended", "acme", "app")
        admin.set_key_state("acme", "tsu", "suspended")
        admin.set_certificate("acme", b"h" * 32, "held")
        # But for what never comes back.
        for what in (("acme",), ("acme", "app"), ("acme", "other", OTHER)):
            with pytest.raises(Governed):
                admin.set_state("revoked", *what)
        told = {(row["tenant"], row["application"]): row for row in admin.query("register")}
        assert told["acme", "app"]["application_state"] == "suspended"
        assert told["acme", "other"]["state"] == told["acme", "other"]["tenant_state"] == "active"
        for gives in (
            lambda **how: admin.set_state("active", "acme", "app", **how),
            lambda **how: admin.set_key_state("acme", "tsu", "active", **how),
            lambda **how: admin.set_key_state("acme", "tsu", "compromised", **how),
            lambda **how: admin.set_certificate("acme", b"h" * 32, "released", **how),
            lambda **how: admin.set_state("revoked", "acme", "other", OTHER, **how),
        ):
            with pytest.raises(Governed):
                gives()
            gives(ceremony=CEREMONY)
    told = of_log(recorder, "acme")
    assert all(record["ceremony"] == CEREMONY for record in told if record["action"] in {"key-active", "active"})
    (governed,) = [record for record in of_log(recorder, BOX_LOG) if record["action"] == "govern"]
    assert governed["ceremony"] == "d" * 64
    recorder.end()
    recorder.start()
    with recorder.admin() as admin, pytest.raises(Governed):
        admin.enrol_tenant("other-one")


def test_certificates_are_told_for_the_crls(recorder: Recorder) -> None:
    elsewhere, digest = hashlib.sha256(b"a seal's").digest(), OTHER
    with recorder.admin() as admin:
        admin.set_state("suspended", "acme", "other", digest)
        admin.set_certificate("acme", elsewhere, "held")
        told = {bytes(row[0]): row[2:] for row in admin.query("certificate_states")}
        assert told == {digest: ["held", ""], elsewhere: ["held", ""]}
        with pytest.raises(Conflict, match="another tenant"):
            admin.set_certificate("globex", elsewhere, "revoked", "superseded")
        admin.set_state("active", "acme", "other", digest)
        admin.set_certificate("acme", elsewhere, "released")
        assert admin.query("certificate_states") == []
        admin.set_certificate("acme", digest, "revoked", "key-compromise")
        admin.set_state("revoked", "acme", "other", digest)
        admin.set_certificate("acme", elsewhere, "revoked", "superseded")
        told = {bytes(row[0]): row[2:] for row in admin.query("certificate_states")}
        assert told == {digest: ["revoked", "key-compromise"], elsewhere: ["revoked", "superseded"]}
        with pytest.raises(Conflict):
            admin.set_certificate("acme", elsewhere, "released")


# The rule itself, against a plain count

_ENTRY = st.tuples(st.sampled_from(["tsu", "seal"]), st.integers(0, 300))
_LIMIT = st.none() | st.integers(0, 12)


@given(
    commands=st.lists(st.lists(_ENTRY, min_size=1, max_size=4), max_size=12),
    quota=st.tuples(_LIMIT, _LIMIT, st.none() | st.integers(0, 4_000)),
    most=_LIMIT,
    cut=st.integers(0, 12),
)
def test_never_more_than_any_limit_and_never_refused_without_need(
    commands: list[list[tuple[str, int]]], quota: tuple[int | None, ...], most: int | None, cut: int
) -> None:
    limits = Limits(keys={(1, "tsu"): KeyEntry("acme", "tsu", "active", None, most, [])}, quotas={1: Quota(*quota)})
    used, tsu = Used(), 0
    taken, pending = Taken(limits, 5 * DAY_US), {1: []}
    for number, command in enumerate(commands):
        if number == cut:  # one transaction ends and the next begins
            rows = counted(pending, {})
            publish(limits, taken.day, rows)
            taken, pending = Taken(limits, 5 * DAY_US), {1: []}
        entries = [Entry(b"", "stamp" if key == "tsu" else "seal", key, 0, b"", b"x" * size) for key, size in command]
        stamps = sum(key == "tsu" for key, _ in command)
        wanted = Used(
            used.signatures + len(command), used.stamps + stamps, used.size + sum(s + 160 for _, s in command)
        )
        fits = all(limit is None or use <= limit for use, limit in zip(wanted, quota, strict=True))
        fits &= most is None or tsu + stamps <= most
        if not fits:
            with pytest.raises((KeyExhausted, QuotaExceeded)) as caught:
                taken.take(PERSON, entries)
            assert 0 <= caught.value.left < len(entries)
        else:
            taken.take(PERSON, entries)
            used, tsu = wanted, tsu + stamps
            pending[1] += [(1, one) for one in entries]


def test_a_new_day_gives_a_quota_anew_and_an_older_one_does_not() -> None:
    limits = Limits(quotas={1: Quota(signatures=1)}, tenants=frozenset({1}))
    for day in (5, 6):
        taken = Taken(limits, day * DAY_US)
        taken.take(PERSON, [entry()])
        publish(limits, taken.day, counted({1: [(1, entry())]}, {}))
    for day in (6, 5):
        with pytest.raises(QuotaExceeded):
            Taken(limits, day * DAY_US).take(PERSON, [entry()])
