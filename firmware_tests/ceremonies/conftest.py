"""One governed box for this room, and a ceremony of each end on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from appliance.ceremonies.actions import AmendConstitution, EnrolApplication, Quota, ResumeApplication, SetQuota
from appliance.evidence import TrustBundle, read_bundle
from appliance.evidence.directory import read_directory
from firmware_tests.governed import Governed, governed


@dataclass(frozen=True)
class Ended:
    """Bundles by how their ceremonies ended, and the trust to check them by."""

    bundles: dict[str, bytes]
    trust: TrustBundle
    genesis: str
    directory: Path


@pytest.fixture(scope="session")
def ruled(open_directory: Path) -> Iterator[Governed]:
    made = governed(open_directory / "ruled")
    yield made
    assert made.box.stop() == 0, made.box.said()


@pytest.fixture(scope="session")
def ended(ruled: Governed, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    bundles: dict[str, bytes] = {}
    first = ruled.law()
    rules = msgspec.structs.replace(first.rules, longest_hours=100)
    following = msgspec.structs.replace(first, version=2, previous=first.digest, rules=rules)
    bundles["amended"] = ruled.bundle(
        ruled.decide([AmendConstitution(constitution=following)], title="Other rules 规则")
    )
    two = [
        SetQuota(name="demo", quota=Quota(stamps=1_000_000)),
        EnrolApplication(tenant="demo", application="ledger", permissions=["*"]),
    ]
    bundles["executed"] = ruled.bundle(ruled.decide(two, title="A quota and a program \u202e<b>"))
    missing = [
        EnrolApplication(tenant="demo", application="archive", permissions=[]),
        ResumeApplication(tenant="demo", application="nobody"),
    ]
    failed = ruled.decide(missing, title="A step that cannot be done", state="failed")
    bundles["failed"] = ruled.bundle(failed)
    ruled.execute(failed)
    bundles["failed again"] = ruled.bundle(failed)
    withdrawn = ruled.decide(missing[1:], title="A step that nobody can do", state="failed")
    ruled.bundle(withdrawn)
    ruled.execute(withdrawn)
    assert ruled.say(withdrawn, "reject bo")["state"] == "rejected"
    bundles["withdrawn"] = ruled.bundle(withdrawn)
    rejected = ruled.submit(two, "Nobody wants it")
    assert ruled.say(rejected, "request ann", "reject bo")["state"] == "rejected"
    bundles["rejected"] = ruled.bundle(rejected)
    directory = tmp_path_factory.mktemp("trust") / "trust"
    shutil.copytree(ruled.box.home.trust, directory)
    return Ended(bundles, read_bundle(read_directory(directory), None), first.digest, directory)
