"""A ledger of time-stamps: authorities of others that stand in for each other. An anchor is final as soon as one of
them has given a token that the judge takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from appliance.anchorer.ledger import LedgerUnavailable, Progress, Surroundings, Work
from appliance.anchorer.rfc3161.authority import StampAuthority
from appliance.anchorer.rfc3161.revocation import find_revocation
from appliance.anchors import AnchorRefused, Receipt, State
from appliance.anchors.judging import rules_of
from appliance.anchors.rfc3161 import write_proof
from appliance.anchors.rfc3161.judge import Rules, authorities_of, judge
from appliance.box.ledgers import Rfc3161LedgerSettings
from appliance.evidence.signers import readable_certificates
from appliance.evidence.stamps import Stamp

LATER_S: Final = 3_600.0
"""Until an anchor that waits for a newer one is looked at again."""


class TimeStampLedger:
    """Asks for one stamp: of the newest open head, which covers the older ones."""

    def __init__(self, settings: Rfc3161LedgerSettings, around: Surroundings) -> None:
        rules = rules_of(around.profile)
        assert isinstance(rules, Rules)  # noqa: S101 - the profile is of this type
        self.name = settings.name
        self._settings = settings
        self._rules = rules
        self._authorities = [StampAuthority(one, around.home, settings.timeout_s) for one in settings.authorities]

    async def advance(self, work: Sequence[Work]) -> Sequence[Progress]:
        """See appliance.anchorer.ledger. Raises LedgerUnavailable with what each authority did."""
        *older, newest = work
        cause = f"anchor {newest.number} is asked for, which covers it"
        waiting = [Progress(one.state or State.SUBMITTED, cause, b"", LATER_S) for one in older]
        if newest.state is None:
            return [*waiting, Progress(State.SUBMITTED, "an authority is asked for a time-stamp", b"", 0.0)]
        return [*waiting, await self._stamped(newest)]

    async def close(self) -> None:
        """Connections end with each request."""

    async def _stamped(self, work: Work) -> Progress:
        troubles: list[str] = []
        for authority in self._authorities:
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    stamp = await authority.stamp(work.commitment)
                receipt = await self._receipt(work, stamp)
            except LedgerUnavailable as error:
                troubles.append(f"{authority.url}: {error}")
            except AnchorRefused as error:
                troubles.append(f"{authority.url}: {error.reason}: {error}")
            except TimeoutError:
                troubles.append(f"{authority.url}: no answer in {self._settings.timeout_s:g} s")
            else:
                return Progress(State.FINAL, f"stamped by {authority.url}", b"", 0.0, receipt)
        raise LedgerUnavailable("; ".join(troubles))

    async def _receipt(self, work: Work, stamp: Stamp) -> Receipt:
        """The receipt of a token that the judge takes. Raises AnchorRefused, LedgerUnavailable."""
        certificates = readable_certificates(stamp.signed_data.certificates)
        found = await find_revocation(
            certificates,
            [*certificates, *(one.certificate for one in authorities_of(self._rules))],
            self._settings.revocation_lists,
            self._settings.timeout_s,
        )
        proof = write_proof(stamp.encoded, [], found.lists, found.answers)
        try:
            judge(bytes(proof), work.commitment, self._rules)
        except AnchorRefused as error:
            raise AnchorRefused(error.reason, "; ".join((str(error), *found.troubles))) from None
        return Receipt(checkpoint=work.checkpoint.decode(), ledger=self.name, proof=proof, type="rfc3161")
