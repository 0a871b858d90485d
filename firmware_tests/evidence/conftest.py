"""The world that the verifier's tests live in, and a log in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.evidence import LogEntry, TimeRules, WitnessEntry
from firmware_tests.evidence.logs import ORIGIN, Log
from firmware_tests.evidence.material import World, make_world


@pytest.fixture(scope="session")
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def logged(world: World, log: Log) -> World:
    return replace(
        world,
        logs=(LogEntry(origin=ORIGIN, key=str(log.verifier)),),
        witnesses=tuple(WitnessEntry(key=str(name)) for name in log.names()),
        time=TimeRules(accepted=["tsa", "witness"], witnesses=2),
    )
