"""The life of a witness: open, listen, serve, stop cleanly."""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog

from appliance.stopping import stop_event
from appliance.witness.commits import GroupCommit
from appliance.witness.copies import open_states
from appliance.witness.keys import open_keys
from appliance.witness.looking import Looking
from appliance.witness.reserve import remembered
from appliance.witness.server import WitnessServer, addresses_of
from appliance.witness.service import Witness
from appliance.witness.settings import WitnessSettings
from appliance.witness.state import KeysInUse

log = structlog.get_logger("witness")


async def run_witness(settings: WitnessSettings, ready: Callable[[dict[str, str]], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the address of each listener.

    Raises SettingsFaults, StateUnusable, OSError before it serves.
    """
    os.umask(0o077)
    stop = stop_event()
    with open_states(settings) as states:
        cosigners = open_keys(settings)
        known, known_keys = remembered(states.store), states.store.keys
        commits = GroupCommit(states.apply)
        try:
            witness = Witness(settings.logs, known, cosigners, commits)
            keys = tuple(str(key) for key in cosigners.verifiers)
            if keys != known_keys:
                await commits.submit(KeysInUse(keys))
            server = WitnessServer(witness, Looking(settings, witness))
            try:
                bound = {
                    name: await server.open(name, listen, settings.home) for name, listen in addresses_of(settings)
                }
                log.info("witness-ready", logs=len(witness.logs), **bound)
                _tell_refused(witness)
                ready(bound)
                await stop.wait()
            finally:
                await server.stop()
        finally:
            commits.close()
            cosigners.close()
    log.info("witness-stopped", transactions=commits.transactions)


def _tell_refused(witness: Witness) -> None:
    for origin, tracked in witness.logs.items():
        if tracked.refused is not None:
            log.error("log-refused", control="FORK", origin=origin, cause=tracked.refused[0])
