"""An authority that the bundle declares compromised: only what others show to be older than that still counts."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from appliance.evidence import Indication, Report, SubIndication, TrustBundle, TrustRefused, read_bundle
from appliance.evidence.bundle import AuthorityCompromise
from firmware_tests.evidence.material import DAY, T0, World, seal, token

DOCUMENT = b"a letter"
NOW = T0 + 10 * DAY
PASSED, UNDECIDED = Indication.PASSED, Indication.INDETERMINATE
TSA, SEAL = 0, 1


def spoken(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def trust(world: World, which: int, since: datetime) -> TrustBundle:
    authorities = world.authorities()
    mark = AuthorityCompromise(since=spoken(since), declared=spoken(NOW))
    authorities[which] = msgspec.structs.replace(authorities[which], compromised=mark)
    return world.trust(authorities=authorities)


def judge(world: World, bundle: TrustBundle, *files: tuple[str, bytes]) -> Report:
    return world.verify(("bond.json", DOCUMENT), *files, now=NOW, trust=bundle)


def outcome(report: Report) -> tuple[Indication, list[SubIndication]]:
    return report.indication, report.files[1].sub_indications


@pytest.mark.parametrize("days", [-1, 1])
def test_a_seal_that_nobody_dates_is_undecided(world: World, days: int) -> None:
    """Also one that states an earlier time: whoever has the authority's key can state any."""
    report = judge(world, trust(world, SEAL, T0 + days * DAY), ("bond.p7s", seal(world.sealer, DOCUMENT)))
    assert outcome(report) == (UNDECIDED, [SubIndication.REVOKED_CA_NO_POE])
    said = "\n".join(check.text for file in report.files for part in file.parts for check in part.checks)
    assert "compromised since" in said


def test_a_seal_that_was_stamped_before_stands(world: World) -> None:
    stamped = seal(world.sealer, DOCUMENT, stamped_by=world.tsa)
    assert judge(world, trust(world, SEAL, T0 + DAY), ("bond.p7s", stamped)).indication is PASSED
    report = judge(world, trust(world, SEAL, T0 - DAY), ("bond.p7s", stamped))
    assert outcome(report) == (UNDECIDED, [SubIndication.REVOKED_CA_NO_POE])
    assert judge(world, trust(world, TSA, T0 - DAY), ("bond.p7s", stamped)).indication is UNDECIDED


def test_a_stamp_stands_only_if_others_saw_it_before(world: World) -> None:
    """Its own word is not enough: a stolen authority certifies a unit that states any time."""
    bundle, stamp = trust(world, TSA, T0 + DAY), token(world.tsa, DOCUMENT)
    assert outcome(judge(world, bundle, ("bond.tst", stamp))) == (UNDECIDED, [SubIndication.REVOKED_CA_NO_POE])
    own = token(world.tsa, stamp, T0 + timedelta(hours=1))
    late = token(world.foreign_tsa, stamp, T0 + 2 * DAY)
    for helper in (own, late):
        assert judge(world, bundle, ("bond.tst", stamp), ("w.tst", helper)).indication is UNDECIDED
    early = token(world.foreign_tsa, stamp, T0 + timedelta(hours=1))
    assert judge(world, bundle, ("bond.tst", stamp), ("w.tst", early)).indication is PASSED


def test_the_others_are_not_touched(world: World) -> None:
    bundle = trust(world, SEAL, T0 - DAY)
    assert judge(world, bundle, ("bond.tst", token(world.tsa, DOCUMENT))).indication is PASSED


def test_a_declaration_that_is_none(world: World) -> None:
    authorities = world.authorities()
    mark = AuthorityCompromise(since="2026-13-01T00:00:00Z", declared=spoken(NOW))
    authorities[SEAL] = msgspec.structs.replace(authorities[SEAL], compromised=mark)
    with pytest.raises(TrustRefused):
        world.trust(authorities=authorities)


def test_a_bundle_without_a_declaration_is_as_before(world: World) -> None:
    """The member is left out, so that older verifiers read it; with it they refuse, which is what they should do."""
    files = world.bundle_files()
    assert b"compromised" not in files["bundle.json"]
    assert all(one.compromised_us is None for one in read_bundle(files, None).authorities)
