"""Ceremonies about keys of letters and federations, attacked: foreign scopes and names, words for another action."""

from __future__ import annotations

import msgspec
import pytest

from appliance.box.settings import FederationSettings, ReleaseKeySettings, TenantSettings
from appliance.ceremonies import DocumentRefused, QuorumMissing, StatementRefused, encode
from appliance.ceremonies.actions import (
    AdmitToFederation,
    CreateFederation,
    DestroyReleaseKey,
    GenerateKey,
    InitialiseToken,
    JoinFederation,
    LeaveFederation,
    MakeUniquenessKey,
)
from appliance.errors import CinnabarError, Conflict, NotFound
from firmware_tests.keymaster.room import TENANT, Bench, Life

OTHER = "globex"
UNTIL = "2099-01-01T00:00:00Z"


@pytest.fixture
def tenants(bench: Bench) -> Bench:
    """Two tenants; the other one has a release token, and is a member of a federation that admitted nobody else."""
    release = ReleaseKeySettings(
        name="globex-opening", token="globex-release", key_uri="pkcs11:object=x", certificate="certificates/x.pem"
    )
    made = [
        TenantSettings(name=name, token=token, data_key=f"secrets/{name}.content-key", release_keys=keys)
        for name, token, keys in ((TENANT, "box", []), (OTHER, "globex", [release]))
    ]
    shared = FederationSettings(
        name="private", tenants=[OTHER], institutions=[OTHER], token="registry", key_uri="pkcs11:object=y"
    )
    tokens = [
        *bench.settings.tokens,
        *(msgspec.structs.replace(bench.settings.tokens[0], name=name) for name in ("globex", "globex-release")),
    ]
    bench.settings = msgspec.structs.replace(bench.settings, tenants=made, tokens=tokens, federations=[shared])
    return bench


def release(token: str, tenant: str | None = TENANT, **more: object) -> GenerateKey:
    return GenerateKey(  # type: ignore[arg-type]
        tenant=tenant, token=token, key="opening", scheme="ecdh-p256", purpose="release", until=UNTIL, **more
    )


async def said(life: Life, *actions: msgspec.Struct) -> tuple[str, str]:
    with pytest.raises(CinnabarError) as refused:
        await life.submit(*actions)
    return refused.value.code, str(refused.value)


def test_names_of_others_and_of_nobody_are_the_same(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        await life.found()
        for foreign, nobodys in (
            (release("globex-release"), release("nowhere")),
            (release("globex"), release("nowhere")),
            (JoinFederation(tenant=TENANT, federation="private"), JoinFederation(tenant=TENANT, federation="none")),
            (LeaveFederation(tenant=TENANT, federation="private"), LeaveFederation(tenant=TENANT, federation="none")),
            (
                DestroyReleaseKey(tenant=TENANT, key="globex-opening", public_key="ab" * 32, unopened=0),
                DestroyReleaseKey(tenant=TENANT, key="nobodys", public_key="ab" * 32, unopened=0),
            ),
        ):
            assert await said(life, foreign) == await said(life, nobodys)
            assert (await said(life, foreign))[0] == "not-found"

    tenants.run(body)


def test_what_no_ceremony_may_do_with_keys_of_letters(tenants: Bench) -> None:
    async def body(life: Life) -> None:
        await life.found()
        made = InitialiseToken(tenant=TENANT, token="opening")
        for wrong, refused in (
            ((made,), "others for release keys"),
            ((made, release("opening", for_backup=True)), "never leaves its token"),
            ((made, release("opening", OTHER)), "others for release keys"),
            ((release("opening", None),), "release keys are a tenant's"),
            ((made, msgspec.structs.replace(release("opening"), scheme="ecdsa-p256-sha256")), "cannot be used for"),
            ((made, msgspec.structs.replace(release("opening"), purpose="seal")), "others for release keys"),
            ((release("box"),), "no such token"),
        ):
            with pytest.raises((DocumentRefused, NotFound), match=refused):
                await life.submit(*wrong)
        for institutions in (["nobody"], [TENANT, TENANT]):
            with pytest.raises(DocumentRefused, match="each named once"):
                await life.submit(CreateFederation(name="f", token="new", institutions=institutions))
        with pytest.raises(Conflict, match="serves somebody"):
            await life.submit(CreateFederation(name="f", token="globex", institutions=[]))
        with pytest.raises(Conflict, match="has a federation"):
            await life.submit(CreateFederation(name="private", token="registry", institutions=[]))

    tenants.run(body)


def test_words_for_one_action_count_for_no_other(tenants: Bench) -> None:
    """Officers approved that a tenant is admitted; the same words stand behind nothing else."""

    async def body(life: Life) -> None:
        await life.found()
        admitted = await life.approved(AdmitToFederation(name="private", institution=TENANT))
        other = await life.submit(MakeUniquenessKey(tenant=TENANT))
        for verb, name in (("request", "ann"), ("approve", "bo"), ("approve", "cai")):
            statement = life.statement(admitted, verb, name)
            replayed = msgspec.structs.replace(statement, proposal=other)
            with pytest.raises(StatementRefused, match="another challenge was signed"):
                await life.engine.state(encode(replayed))
        with pytest.raises(QuorumMissing):
            await life.desk.execute(other, 1.0)

    tenants.run(body)
