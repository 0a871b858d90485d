"""`cinnabar log renew`: every log of a stopped box goes on under another hash."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from appliance.box.holding import AlreadyRunning, hold_home
from appliance.box.home import Home
from appliance.box.options import home_option
from appliance.box.settings import BoxSettings, LogSettings, encode_settings, read_settings
from appliance.box.witnesses import Witnesses, WitnessesRefused, read_witnesses
from appliance.errors import CinnabarError
from appliance.files import owner_of, sync_directory, write_file
from appliance.keymaster.certificates.log_renewals import decided_hashes
from appliance.log.asking import ask_witnesses
from appliance.log.check import RecordSource
from appliance.log.checkpoint import merge_notes
from appliance.log.eras import EraSource, eras_of, first_entry, name_of
from appliance.log.exports import export_directory
from appliance.log.keys import read_log_keys
from appliance.log.note import VerifierKey
from appliance.log.reader import log_directory
from appliance.log.renewal import LastHead, NotRenewable, Place, lacking, last_head, prepare, renewed_settings
from appliance.log.resume import Given, KnownLog
from appliance.log.sources import FileSource, open_records
from appliance.log.successor import renewable
from appliance.log.witnesses import WitnessPolicy
from appliance.tree_hash import RENEWED_HASHES, TreeHash, hash_of

EXIT_DONE, EXIT_REFUSED, EXIT_UNUSABLE = 0, 1, 2


@click.command()
@home_option("The box's home.")
@click.option("--hash", "name", type=click.Choice(list(RENEWED_HASHES)), required=True, help="Hash of the new logs.")
@click.option(
    "--ask/--no-ask",
    default=True,
    help="Ask the logs' witnesses to cosign the last heads; without, they are taken with what cosignatures they have.",
)
def renew(root: Path, name: str, *, ask: bool) -> None:
    """Go on with every log under another hash; the box must be stopped.

    Each log ends at its last signed head, and another one, whose origin ends in the name of the hash, begins with a
    leaf that commits to all of it. The officers of the box must have decided it (renew-logs). What an ended log has
    is served on. Killed at any moment, the command can be given again.

    Exit codes: 0 renewed, or renewed before; 1 nothing was changed; 2 it could not be tried.
    """
    home, hashing = Home(root.resolve()), renewable(name)
    try:
        held = hold_home(home)
        settings = read_settings(home.settings)
        witnesses = read_witnesses(settings)
    except FileNotFoundError:
        _unusable(f"There is no box in {root}.")
    except (AlreadyRunning, WitnessesRefused, msgspec.ValidationError, OSError) as error:
        _unusable(str(error))
    try:
        if all(hash_of(log.origin) == hashing for log in settings.logs):
            _tell_keys(home, settings)  # the command may have died before it did
            click.echo(f"Every log of the box is under {hashing.name}.")
            return
        _check_decided(home, hashing)
        following = _renewed(home, settings, hashing, witnesses, ask=ask)
        write_file(home.settings, encode_settings(following), home.settings.stat().st_mode & 0o777)
        sync_directory(home.root)
        for log in following.logs:
            click.echo(f"{log.ended[-1].origin} ended at {log.ended[-1].size:,} entries; {log.origin} goes on from it.")
        _tell_keys(home, following)
    except CinnabarError as error:
        click.echo(f"Nothing was changed: {error}", err=True)
        sys.exit(EXIT_REFUSED)
    except (OSError, sqlite3.Error) as error:
        _unusable(f"Nothing was changed: {error}")
    finally:
        os.close(held)
    click.echo("Start the box. Enter the new origins and keys (trust/*.vkey) at witnesses and monitors.")


def _tell_keys(home: Home, settings: BoxSettings) -> None:
    """The new logs' verifier keys, for those who configure them by hand, in the files that had the old ones'."""
    try:
        for log in settings.logs:
            if not log.ended:
                continue
            ended = log.ended[-1]
            going_on = {key.key_uri for key in log.keys}
            published = zip(ended.keys, read_log_keys(log_directory(home.logs, ended.origin)), strict=False)
            known = [key.verifier for entry, key in published if entry.key_uri in going_on]
            lines = [f"{VerifierKey(log.origin, one.public)}\n" for one in known]
            write_file(home.trust / f"{log.tenant or 'box'}-log.vkey", "".join(lines).encode())
    except OSError as error:
        _unusable(f"The logs are renewed, but their keys could not be written ({error}): give the command again.")


def _check_decided(home: Home, hashing: TreeHash) -> None:
    """Control QUORUM: verifiers are told of no log that the officers have not decided on."""
    if home.history_lock.exists():
        raise NotRenewable("the box awaits `cinnabar log resume`")
    with open_records(home) as records:
        if records is None:
            raise NotRenewable("the records cannot be read by this user")
        if not isinstance(records, FileSource):  # who answers could say that there are no officers
            raise NotRenewable("a recorder answers, though the box is stopped: end it")
        governed = records.governed()
    if hashing.name not in decided_hashes(home.log_renewals, governed=governed):
        raise NotRenewable(f"no ceremony has decided to renew the logs under {hashing.name} (renew-logs)")


def _renewed(home: Home, settings: BoxSettings, hashing: TreeHash, witnesses: Witnesses, *, ask: bool) -> BoxSettings:
    exports = export_directory(home.root, settings.checkpoint_exports)
    owner = owner_of(home.logs) if os.geteuid() == 0 else None
    place = Place(home.logs, exports, home.cosigned, owner)
    # The box's own first: it commits to the others.
    wanted = sorted(
        (log for log in settings.logs if hash_of(log.origin) != hashing), key=lambda log: log.tenant is not None
    )
    with open_records(home) as records:
        if records is None:
            raise NotRenewable("the records cannot be read by this user")
        heads = [last_head(place, log, records) for log in wanted]
        if ask:
            heads = [_cosigned(place, head, witnesses, records) for head in heads]
    for head in heads:
        policy = witnesses.policies.get(head.log.origin, WitnessPolicy())
        if ask and lacking(head, policy):
            raise NotRenewable(
                f"the last head of {head.log.origin} lacks {lacking(head, policy)} of {policy.quorum} cosignatures; "
                "--no-ask goes on without"
            )
    following: dict[str, LogSettings] = {head.log.origin: prepare(place, head, hashing) for head in heads}
    return renewed_settings(settings, following)


def _cosigned(place: Place, head: LastHead, witnesses: Witnesses, records: RecordSource) -> LastHead:
    """The head with what its witnesses say of it now."""
    log = head.log
    policy = witnesses.policies.get(log.origin, WitnessPolicy())
    if not lacking(head, policy):
        return head
    era = eras_of(log)[-1]
    mine = EraSource(records, era, first_entry(place.logs, era))
    known = KnownLog(log.origin, name_of(log), head.keys, policy)
    asked = asyncio.run(ask_witnesses(known, witnesses.known, [Given(log.origin, head.note)], mine))
    for line in asked.told:
        click.echo(line)
    return replace(head, note=_merged(head.note, [one.note for one in asked.given]))


def _merged(note: bytes, others: Sequence[bytes]) -> bytes:
    return merge_notes([note, *others])


def _unusable(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(EXIT_UNUSABLE)
