"""A box with an account on the tests' channel: what tests make of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from appliance.anchorer.desk_client import DeskClient
from appliance.anchorer.fabric.ledger import FabricLedger
from appliance.anchorer.ledger import LedgerUnavailable, Progress, Surroundings, Work
from appliance.anchors import LedgerProfile, State, check_transition, commitment_of
from appliance.box.ledgers import FabricLedgerSettings
from appliance.log import LogReader
from firmware_tests.anchorer.fabric.peer import Gateway
from firmware_tests.anchors.fabric.network import Network
from firmware_tests.log.box import BOX_ORIGIN, Box

LEDGER = "consortium"


@dataclass
class Site:
    """A running box, the channel, and its Gateway."""

    box: Box
    network: Network
    gateway: Gateway
    settings: FabricLedgerSettings
    profile: LedgerProfile
    desk: DeskClient

    @property
    def home(self) -> Path:
        return self.box.home.root

    def ledger(self, **changed: object) -> FabricLedger:
        """As after a start: nothing is remembered but what was stored."""
        settings = msgspec.structs.replace(self.settings, **changed)
        return FabricLedger(settings, Surroundings(self.home, self.profile, self.desk))

    def new_head(self) -> None:
        """A head of the box's log that no anchor has; the box adds a leaf each second."""
        self.box.wait_for_size(BOX_ORIGIN, self.box.checkpoint(BOX_ORIGIN).size + 1)

    def work(self, number: int = 1, progress: Progress | None = None, note: bytes | None = None) -> Work:
        head = LogReader(self.box.directory(BOX_ORIGIN)).checkpoint() if note is None else note
        state, memory = (None, b"") if progress is None else (progress.state, progress.memory)
        return Work(number, head, commitment_of(head), state, memory)

    def again(self, work: Work, progress: Progress) -> Work:
        """The same anchor as the next step gets it."""
        return Work(work.number, work.checkpoint, work.commitment, progress.state, progress.memory)


def step(ledger: FabricLedger, *work: Work) -> list[Progress]:
    found = list(asyncio.run(ledger.advance(work)))
    for one, progress in zip(work, found, strict=True):
        check_transition(one.state, progress.state)
        assert (progress.receipt is not None) is (progress.state is State.FINAL)
    return found


def step_until(site: Site, work: Work, holds: Callable[[Work], object]) -> Work:
    """One step after the other, at once, until this holds."""
    for _ in range(50):
        if holds(work):
            return work
        work = site.again(work, step(site.ledger(), work)[0])
    raise AssertionError(f"not within 50 steps: {work}")


def until(site: Site, work: Work, *states: State, ledger: FabricLedger | None = None, seconds: float = 20) -> Work:
    """Steps, each by a ledger that was started anew, until the anchor is in one of these states."""
    return followed(site, work, *states, ledger=ledger, seconds=seconds)[0]


def followed(
    site: Site, work: Work, *states: State, ledger: FabricLedger | None = None, seconds: float = 20
) -> tuple[Work, Progress]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            (progress,) = step(ledger or site.ledger(), work)
        except LedgerUnavailable as error:
            trouble = str(error)
            continue
        work, trouble = site.again(work, progress), progress.cause
        if progress.state in states:
            return work, progress
    raise AssertionError(f"it is {work.state} after {seconds} s: {trouble}")
