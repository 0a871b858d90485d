"""A world in which SHA-256 ends: an authority whose tokens, keys and certificate rely on stronger algorithms."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.algorithms import DIGESTS
from appliance.evidence import AuthorityEntry, Report
from appliance.evidence.bundle import AlgorithmEnd
from appliance.evidence_records import Renewal, RenewalTree
from firmware_tests.evidence.material import (
    DAY,
    POLICY,
    T0,
    Holder,
    World,
    certify,
    crl,
    ess,
    time_stamper,
    token,
)

YEAR = timedelta(days=365)
NOW = T0 + 3 * YEAR


def until(when: datetime, algorithm: str = "sha256", below: int | None = None) -> AlgorithmEnd:
    return AlgorithmEnd(algorithm=algorithm, below_bits=below, until=when.strftime("%Y-%m-%dT%H:%M:%SZ"))  # type: ignore[arg-type]


@dataclass
class Later:
    """The world, and a unit that relies on SHA-512 and a larger key, under an authority that does, too."""

    world: World
    strong: Holder

    def verify(self, *files: tuple[str, bytes], ends: Sequence[AlgorithmEnd] = (), now: datetime = NOW) -> Report:
        return self.world.verify(*files, now=now, trust=self.world.trust(algorithms=list(ends)))

    def stamp(
        self, digest: bytes, when: datetime, name: str = "sha512", holder: Holder | None = None, **info: Any
    ) -> bytes:
        strong = name != "sha256"
        imprint = {"hash_algorithm": {"algorithm": DIGESTS[name].oid}, "hashed_message": digest}
        signing: dict[str, Any] = {"hash_name": "sha512"} if strong else {}
        who = holder or (self.strong if strong else self.world.tsa)
        if strong:
            signing["attributes"] = {"signing_certificate_v2": ess(who.der, "sha512")}
        return token(who, b"", when, info={"message_imprint": imprint, "policy": POLICY, **info}, **signing)

    def renew(self, renewals: Sequence[Renewal], when: datetime) -> list[bytes]:
        tree = RenewalTree.of(renewals)
        made = self.stamp(tree.root, when, tree.algorithm.name)
        return [tree.renewed(index, renewals[index], made) for index in range(len(renewals))]


def later_world(world: World) -> Later:
    ca = certify("Strong TSA CA", ca=True, hash_name="sha512", key=ec.generate_private_key(ec.SECP521R1()))
    unit = time_stamper("Strong TSU", ca, key=ec.generate_private_key(ec.SECP521R1()), hash_name="sha512")

    class Wider(World):
        def authorities(self) -> list[AuthorityEntry]:
            entry = AuthorityEntry(
                certificate=base64.b64encode(ca.der).decode(), role="tsa", party="Strong", time_class="tsa",
                policies=[POLICY],
            )  # fmt: skip
            return [*super().authorities(), entry]

    fields = {name: getattr(world, name) for name in world.__dataclass_fields__}
    wider = Wider(**fields)
    wider = replace(wider, crls={**wider.crls, "strong.crl": crl(ca, until=T0 + 4000 * DAY)})
    return Later(wider, unit)
