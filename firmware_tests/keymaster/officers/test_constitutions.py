"""The chain of constitutions: what takes effect, what the token pins, and what is refused when files are put back."""

from __future__ import annotations

import asyncio
import base64
import datetime
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.ceremonies import (
    BOX,
    Constitution,
    DocumentRefused,
    QuorumMissing,
    StatementRefused,
    SuccessionRefused,
    decode,
    encode,
)
from appliance.ceremonies.actions import AmendConstitution, GenerateKey
from appliance.ceremonies.chain import ConstitutionVersion, check_chain
from appliance.ceremonies.constitution import ApprovalRules, Recovery, Scope
from appliance.errors import Conflict
from appliance.keymaster.engine import now_utc
from appliance.keymaster.errors import ConstitutionRefused, NoConstitution, StillWaiting
from appliance.keymaster.officers.constitutions import APPLICATION
from appliance.keymaster.officers.founding import first_constitution, found
from firmware_tests.ceremonies import test_quorum
from firmware_tests.keymaster.room import Bench, Life
from firmware_tests.officers import ORIGIN, RP_ID, SoftwareOfficer
from hsm.data_objects import create_data_object


def following(law: Constitution, **changes: object) -> Constitution:
    return msgspec.structs.replace(law, version=law.version + 1, previous=law.digest, **changes)


def with_threshold(law: Constitution, threshold: int) -> Constitution:
    (box,) = law.scopes
    return following(law, scopes=[msgspec.structs.replace(box, threshold=threshold)])


async def amend(life: Life, law: Constitution, *also: str) -> None:
    digest = await life.submit(AmendConstitution(constitution=law))
    await life.say(digest, "request ann", "approve bo", "approve cai", *also)
    shown = await life.desk.execute(digest, 10.0)
    assert shown["state"] == "executed", shown


def files(bench: Bench) -> list[Path]:
    return sorted(bench.home.constitutions.iterdir())


def test_before_the_founding_nobody_has_power(bench: Bench) -> None:
    async def body(life: Life) -> None:
        assert await life.desk.constitution() == b""
        with pytest.raises(NoConstitution):
            await life.engine.draft("ann", "A test", "None", b"[]", 1)
        proposal = test_quorum.proposal()
        with pytest.raises(NoConstitution):
            await life.engine.submit(encode(proposal))

    bench.run(body)


def test_versions_follow_each_other_and_anyone_can_hold_them_again(bench: Bench) -> None:
    async def first(life: Life) -> None:
        law = await life.found()
        await amend(life, with_threshold(law, 3))
        with pytest.raises(Conflict):
            await found(life.room, law, life.engine.clock())

    async def second(life: Life) -> None:
        law = life.room.constitutions.in_force()
        assert (law.version, law.scopes[0].threshold) == (2, 3)
        await life.submit(AmendConstitution(constitution=with_threshold(law, 2)))

    bench.run(first)
    chain = [decode(path.read_bytes(), ConstitutionVersion) for path in files(bench)]
    assert check_chain(chain).version == 2
    bench.run(second)
    # What was approved cannot be told otherwise: each member is held.
    (one, two) = chain
    assert two.proposal is not None
    for wrong in (
        [two],
        [one, one],
        [one, msgspec.structs.replace(two, statements=two.statements[:-1])],
        [one, msgspec.structs.replace(two, statements=[])],
        [one, msgspec.structs.replace(two, proposal=None)],
        [
            one,
            msgspec.structs.replace(
                two, constitution=msgspec.structs.replace(two.constitution, issued="2020-01-01T00:00:00Z")
            ),
        ],
        [one, msgspec.structs.replace(two, adopted="2099-01-01T00:00:00Z")],
        [one, msgspec.structs.replace(two, adopted=two.proposal.made.replace("20", "19", 1))],
        [msgspec.structs.replace(one, constitution=msgspec.structs.replace(one.constitution, box="1" * 32)), two],
    ):
        with pytest.raises((DocumentRefused, SuccessionRefused, QuorumMissing)):
            check_chain(wrong)


def test_an_older_journal_is_refused(bench: Bench) -> None:
    kept = bench.home.root / "kept.sqlite"

    async def before(life: Life) -> None:
        law = await life.found()
        life.room.journal.connection.execute("VACUUM INTO ?", (str(kept),))
        await amend(life, with_threshold(law, 3))

    async def after(life: Life) -> None:
        status = await life.desk.status()
        assert status["refused"] == "the token pins version 2, the journal has 1"
        with pytest.raises(ConstitutionRefused):
            await life.desk.constitution()
        with pytest.raises(ConstitutionRefused):
            await life.engine.draft("ann", "A test", "None", b"[]", 1)
        await life.room.constitutions.load()
        assert life.room.constitutions.refusal is not None

    bench.run(before)
    bench.put_journal_back(kept)
    bench.run(after)


def test_another_chain_is_refused(bench: Bench) -> None:
    """A journal whose first constitution was made elsewhere, with officers of the attacker's own."""

    async def genuine(life: Life) -> None:
        await life.found()

    async def theirs(life: Life) -> None:
        (row,) = life.room.journal.constitutions()
        version = decode(row.text, ConstitutionVersion)
        mine = SoftwareOfficer("ann")
        forged = msgspec.structs.replace(
            version.constitution,
            persons=[mine.person(), *version.constitution.persons[1:]],
        )
        text = encode(msgspec.structs.replace(version, constitution=forged))
        life.room.journal.connection.execute("UPDATE constitutions SET digest = ?, text = ?", (forged.digest, text))

    async def after(life: Life) -> None:
        assert life.room.constitutions.refusal == "version 1 is not the one that the token pins"
        with pytest.raises(ConstitutionRefused):
            life.room.constitutions.in_force()

    bench.run(genuine)
    bench.run(theirs)
    bench.run(after)


def test_a_version_that_nobody_approved_is_refused_even_where_it_is_pinned(bench: Bench) -> None:
    """Whoever holds the token's user PIN can stop the keymaster so, and gets no power by it."""

    async def body(life: Life) -> None:
        law = await life.found()
        easy = with_threshold(law, 1)
        create_data_object(
            life.room.box_token(), "cinnabar-constitution-2", bytes.fromhex(easy.digest), application=APPLICATION
        )
        forged = ConstitutionVersion(constitution=easy, proposal=None, statements=[], adopted="2026-01-01T00:00:00Z")
        life.room.journal.add_constitution(2, easy.digest, encode(forged), 1)
        await life.room.constitutions.load()
        assert "no proposal brings this version" in (life.room.constitutions.refusal or "")

    bench.run(body)


def test_a_version_that_was_never_pinned_never_took_effect(bench: Bench) -> None:
    async def body(life: Life) -> None:
        law = await life.found()
        easy = with_threshold(law, 1)
        forged = ConstitutionVersion(constitution=easy, proposal=None, statements=[], adopted="2026-01-01T00:00:00Z")
        life.room.journal.add_constitution(2, easy.digest, encode(forged), 1)
        await life.room.constitutions.load()
        assert life.room.constitutions.in_force() == law
        assert len(life.room.journal.constitutions()) == 1

    bench.run(body)


def test_files_that_were_put_back_are_only_copies(bench: Bench) -> None:
    old = bench.home.root / "old"

    async def before(life: Life) -> None:
        law = await life.found()
        shutil.copytree(bench.home.constitutions, old)
        await amend(life, with_threshold(law, 3))
        assert life.room.constitutions.under(law.digest) == law
        assert life.room.constitutions.under("0" * 64).version == 2

    async def after(life: Life) -> None:
        assert life.room.constitutions.in_force().version == 2

    bench.run(before)
    shutil.rmtree(bench.home.constitutions)
    shutil.copytree(old, bench.home.constitutions)
    (bench.home.constitutions / "1.json").write_bytes(b"{}")
    bench.run(after)
    assert check_chain([decode(path.read_bytes(), ConstitutionVersion) for path in files(bench)]).version == 2


@pytest.mark.parametrize(
    "what", ["stranger", "two-of-one", "unknown-officer", "threshold", "lone", "earlier", "own-key"]
)
def test_rosters_and_thresholds_that_cannot_be(bench: Bench, what: str) -> None:
    async def body(life: Life) -> None:
        law = await life.found()
        (box,) = law.scopes
        eve = SoftwareOfficer("eve")
        swapped = [
            *law.persons[:1],
            msgspec.structs.replace(law.persons[1], credentials=[eve.credential()]),
            *law.persons[2:],
        ]
        wanted = {
            "stranger": following(
                law,
                persons=[*law.persons, eve.person()],
                scopes=[msgspec.structs.replace(box, officers=[*box.officers, "eve"])],
            ),
            "two-of-one": following(law, persons=[*law.persons, msgspec.structs.replace(law.persons[0], id="ann2")]),
            "unknown-officer": following(law, scopes=[msgspec.structs.replace(box, officers=[*box.officers, "eve"])]),
            "threshold": with_threshold(law, 4),
            "lone": following(law, scopes=[msgspec.structs.replace(box, officers=["ann", "bo"], threshold=1), box]),
            "earlier": msgspec.structs.replace(with_threshold(law, 1), version=1, previous=None),
            "own-key": following(law, persons=swapped),
        }[what]
        with pytest.raises((DocumentRefused, SuccessionRefused)):
            await life.submit(AmendConstitution(constitution=wanted))

    bench.run(body)


def test_a_new_officer_is_confirmed_and_accepts(bench: Bench) -> None:
    async def body(life: Life) -> None:
        law = await life.found(names=("ann", "bo", "cai"))
        dan = bench.officers["dan"]
        life.confirm(dan)
        (box,) = law.scopes
        wider = following(
            law,
            persons=[*law.persons, dan.person()],
            scopes=[msgspec.structs.replace(box, officers=[*box.officers, "dan"])],
        )
        digest = await life.submit(AmendConstitution(constitution=wider))
        assert (await life.say(digest, "request ann", "approve bo", "approve cai"))["state"] == "open"
        with pytest.raises(StatementRefused):
            await life.say(digest, "approve dan")
        assert (await life.say(digest, "accept dan"))["state"] == "approved"
        assert (await life.desk.execute(digest, 10.0))["state"] == "executed"
        other = await life.submit(AmendConstitution(constitution=with_threshold(wider, 3)), requester="dan")
        await life.say(other, "request dan", "approve ann", "approve bo")
        assert (await life.desk.execute(other, 10.0))["state"] == "executed"

    bench.run(body)


def test_a_whole_roster_is_replaced_at_once(bench: Bench) -> None:
    async def body(life: Life) -> None:
        law = await life.found()
        new = {name: SoftwareOfficer(name) for name in ("xia", "yun", "zoe")}
        bench.officers |= new
        for officer in new.values():
            life.confirm(officer)
        others = following(
            law,
            persons=[officer.person() for officer in new.values()],
            scopes=[Scope(name=BOX, officers=sorted(new), threshold=2)],
        )
        await amend(life, others, *(f"accept {name}" for name in new))
        with pytest.raises(DocumentRefused):
            await life.submit(AmendConstitution(constitution=with_threshold(others, 1)))
        digest = await life.submit(AmendConstitution(constitution=with_threshold(others, 1)), requester="xia")
        await life.say(digest, "request xia", "approve yun", "approve zoe")
        assert (await life.desk.execute(digest, 10.0))["state"] == "executed"

    bench.run(body)


def test_a_recovery_waits_in_public(bench: Bench) -> None:
    async def body(life: Life) -> None:
        law = await life.found()
        (box,) = law.scopes
        recovery = Recovery(officers=["cai", "dan"], threshold=1, waiting_hours=24)
        small = msgspec.structs.replace(box, officers=["ann", "bo", "cai"], recovery=recovery)
        with_recovery = following(law, scopes=[small])
        digest = await life.submit(AmendConstitution(constitution=with_recovery))
        shown = await life.say(digest, "request ann", "approve bo", "approve cai")
        assert shown["tally"]["must_accept"] == [], shown
        assert (await life.desk.execute(digest, 10.0))["state"] == "executed"
        rescued = following(with_recovery, scopes=[msgspec.structs.replace(small, officers=["cai", "dan", "bo"])])
        digest = await life.submit(
            AmendConstitution(constitution=rescued, recovery=True), requester="dan", hours=24 * 7
        )
        shown = await life.say(digest, "request dan", "approve cai")
        assert shown["state"] == "approved", shown
        with pytest.raises(StillWaiting):
            await life.executions.execute(digest)
        bench.now = lambda: now_utc() + datetime.timedelta(hours=23, minutes=59)
        with pytest.raises(StillWaiting):
            await life.executions.execute(digest)
        # Whoever sets the box's clock forward has let nobody look for any longer.
        started = bench.uptime()
        bench.now = lambda: now_utc() + datetime.timedelta(hours=24, seconds=2)
        bench.uptime = lambda: started - 24 * 3600 + 60
        with pytest.raises(StillWaiting, match="24 more hours"):
            await life.executions.execute(digest)
        bench.uptime = lambda: started - 12 * 3600
        await life.engine.settle_all()
        row = life.room.journal.proposal(digest)
        assert row is not None
        assert 11 * 3600 < row.waited / 1_000_000 < 13 * 3600
        with pytest.raises(StillWaiting, match="13 more hours"):
            await life.executions.execute(digest)
        bench.uptime = lambda: started + 61
        assert (await life.desk.execute(digest, 10.0))["state"] == "executed"
        assert life.room.constitutions.in_force() == rescued

    bench.run(body)
    check_chain([decode(path.read_bytes(), ConstitutionVersion) for path in files(bench)])


def test_housekeeping_of_the_room_goes_on_without_a_constitution(bench: Bench, executors: dict[type, object]) -> None:
    """A refused chain stops executions, and only them: what waits for the log still goes there."""
    kept = bench.home.root / "kept.sqlite"

    async def before(life: Life) -> str:
        law = await life.found()
        digest = await life.approved(
            GenerateKey(
                tenant=None, token="box", key="k", scheme="ed25519", purpose="seal", until="2099-01-01T00:00:00Z"
            )
        )
        life.room.journal.connection.execute("VACUUM INTO ?", (str(kept),))
        await amend(life, with_threshold(law, 3))
        return digest

    async def after(life: Life) -> None:
        await life.room.recording.send()
        with pytest.raises(ConstitutionRefused):
            await life.executions.execute(digest)
        await life.engine.settle_all()
        assert (await life.desk.proposals())[0]["tally"] is None

    executors[GenerateKey] = (None, None)
    digest = bench.run(before)
    bench.put_journal_back(kept)
    bench.run(after)


def test_a_founding_that_is_asked_for_twice_at_once_is_pinned_once(bench: Bench) -> None:
    async def first(life: Life) -> None:
        for officer in bench.officers.values():
            life.confirm(officer)
        rules = ApprovalRules(rp_id=RP_ID, origins=[ORIGIN], backup_eligible=True)
        confirmed, now = life.room.candidates.confirmed(), life.engine.clock()
        documents = [
            first_constitution(life.room.settings, rules, confirmed, threshold, {}, now) for threshold in (2, 2, 1)
        ]
        said = await asyncio.gather(*(found(life.room, one, now) for one in documents), return_exceptions=True)
        assert [type(one) for one in said] == [type(None), type(None), SuccessionRefused]
        assert len(life.room.constitutions.versions) == 1

    async def second(life: Life) -> None:
        assert life.room.constitutions.refusal is None
        assert life.room.constitutions.in_force().version == 1

    bench.run(first)
    bench.run(second)


def large_root() -> str:
    """A maker's certificate of 130,000 bytes, base64."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Maker of keys")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    filled = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), os.urandom(130_000))
    made = builder.add_extension(filled, critical=False).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def test_a_version_is_read_again_however_large_its_documents_are(bench: Bench) -> None:
    async def first(life: Life) -> None:
        law = await life.found()
        rules = msgspec.structs.replace(law.rules, attestation_roots=[large_root() for _ in range(3)])
        await amend(life, following(law, rules=rules))

    async def second(life: Life) -> None:
        assert life.room.constitutions.refusal is None
        assert life.room.constitutions.in_force().version == 2

    bench.run(first)
    bench.run(second)


@pytest.mark.parametrize(
    "origin",
    [
        "https://10.0.0.1:8443", "https://[::1]:8443", "http://approve.localhost:8443", "https://approve.localhost.evil",
        "https://evil.example", "https://approve.localhost:8443/", "https://approve.localhost:8443\x1b[2J",
    ],
)  # fmt: skip
def test_an_origin_under_which_nobody_can_approve_never_takes_effect(bench: Bench, origin: str) -> None:
    """No address as a name, no other site: and no box that nobody could ever decide anything on again."""

    async def body(life: Life) -> None:
        law = await life.found()
        rules = msgspec.structs.replace(law.rules, origins=[origin])
        with pytest.raises(DocumentRefused):
            await life.submit(AmendConstitution(constitution=following(law, rules=rules)))

    bench.run(body)


def test_nobody_changes_an_officer_s_key_without_her(bench: Bench) -> None:
    """Another authenticator with the same credential id: confirmed at the console, approved, and never accepted."""

    async def body(life: Life) -> None:
        law = await life.found()
        eve = SoftwareOfficer("dan")
        eve.credential_id = bench.officers["dan"].credential_id
        own = next(one for one in life.room.candidates.all() if one.person == "dan")
        life.room.candidates.discard(own.id)  # as a console tidies up when somebody has her seat
        life.confirm(eve)
        persons = [one if one.id != "dan" else eve.person() for one in law.persons]
        digest = await life.submit(AmendConstitution(constitution=following(law, persons=persons)))
        shown = await life.say(digest, "request ann", "approve bo", "approve cai")
        assert (shown["state"], shown["tally"]["must_accept"]) == ("open", ["dan"])

    bench.run(body)
