"""`cinnabar pins`: whether the PINs of a stopped box stand on its disk in clear, or under lock."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

import hsm
from appliance.box import tpm
from appliance.box.holding import AlreadyRunning, hold_home
from appliance.box.home import Home
from appliance.box.locked_pins import (
    PASSPHRASE_MINIMUM,
    LockedPin,
    PassphraseUnfit,
    find_part,
    lock_for_officers,
    lock_for_tpm,
    open_with_parts,
    open_with_tpm,
    read_locked_pin,
    write_locked_pin,
)
from appliance.box.options import home_option
from appliance.box.pin_opening import locked_path, pin_names
from appliance.box.settings import BoxSettings, TokenSettings, encode_settings, read_settings
from appliance.errors import CinnabarError
from appliance.files import open_file, remove_file, sync_directory, write_file

_MOST_BYTES: Final = 4_096
"""Of a file with a PIN that are overwritten."""


@click.group()
@home_option("The box's home; the box must be stopped.", "home")
@click.pass_context
def pins(context: click.Context, home: Path) -> None:
    """Where the PINs of tokens come from when the box starts. Without lock they stand on the disk, root's alone."""
    place = Home(home.resolve())
    if not place.settings.is_file():
        raise click.ClickException(f"There is no box in {home}; say where it is with --home.")
    context.obj = place


@pins.command("show")
@click.pass_obj
def show(home: Home) -> None:
    """Say for each token where its PIN comes from."""
    try:
        settings = read_settings(home.settings)
    except (OSError, msgspec.MsgspecError) as error:
        raise click.ClickException(f"{home.settings}: {error}") from error
    for token in settings.tokens:
        told = {"file": "on the disk, in clear", "tpm": "this machine's TPM", "officer": "officers' passphrases"}
        click.echo(f"{token.name:<24} {told[token.pin_source]}")


@pins.command("seal")
@click.option("--token", "names", multiple=True, required=True, help="Name of a token. Repeatable.")
@click.option("--pcrs", default=tpm.PCRS, show_default=True, help="Registers of the TPM to bind to.")
@click.pass_obj
def seal(home: Home, names: tuple[str, ...], pcrs: str) -> None:
    """Seal PINs to this machine's TPM; the files with the PINs are removed once that has been tried."""
    with _changing(home) as settings:
        for token in _tokens(settings, names):
            plain = _plain(home, token)
            locked = {
                name: lock_for_tpm(name, pin, pcrs, lambda key: tpm.seal(key, pcrs)) for name, pin in plain.items()
            }
            for name, one in locked.items():
                if open_with_tpm(one, tpm.unseal) != plain[name]:
                    raise click.ClickException(f"{name}: the TPM does not give back what was sealed")
            settings = _kept(home, settings, token, locked, "tpm")  # noqa: PLW2901
            click.echo(f"The PIN of {token.name} is sealed to this machine.")


@pins.command("lock")
@click.option("--token", "names", multiple=True, required=True, help="Name of a token. Repeatable.")
@click.option("--officer", "officers", multiple=True, required=True, help="Who gets a passphrase. Repeatable.")
@click.option("--threshold", type=click.IntRange(1, 100), default=1, show_default=True, help="Passphrases needed.")
@click.pass_obj
def lock(home: Home, names: tuple[str, ...], officers: tuple[str, ...], threshold: int) -> None:
    """Lock PINs under passphrases of officers, each of whom types hers here: twice on a terminal; from a pipe a line
    each is read once, in the order of --officer."""
    if threshold > len(officers) or len(set(officers)) != len(officers):
        raise click.BadParameter("as many different officers as passphrases are needed", param_hint="--officer")
    with _changing(home) as settings:
        tokens = _tokens(settings, names)
        plain = {token.name: _plain(home, token) for token in tokens}
        chosen = {officer: _new_passphrase(officer) for officer in officers}
        for token in tokens:
            locked = {name: lock_for_officers(name, pin, chosen, threshold) for name, pin in plain[token.name].items()}
            settings = _kept(home, settings, token, locked, "officer")  # noqa: PLW2901
            click.echo(f"The PIN of {token.name} opens with {threshold} of {len(officers)} passphrases.")


@pins.command("open")
@click.option("--token", "names", multiple=True, required=True, help="Name of a token. Repeatable.")
@click.pass_obj
def open_(home: Home, names: tuple[str, ...]) -> None:
    """Put PINs back on the disk in clear, which the box's health then shows as a weakness."""
    with _changing(home) as settings:
        for token in _tokens(settings, names):
            if token.pin_source == "file":
                continue
            for name in pin_names(token):
                locked = read_locked_pin(locked_path(home, name).read_bytes(), name)
                path = home.root / (token.pin_file if name == token.name else token.standby_pin_file or token.pin_file)
                write_file(path, _opened(locked).encode() + b"\n", 0o600)
            settings = _written(home, settings, token, "file")  # noqa: PLW2901
            for name in pin_names(token):
                locked_path(home, name).unlink()
            click.echo(f"The PIN of {token.name} stands on the disk in clear.")


@contextlib.contextmanager
def _changing(home: Home) -> Iterator[BoxSettings]:
    """The settings of a box that does not run; what is refused becomes one line."""
    try:
        held = hold_home(home)
    except (AlreadyRunning, OSError) as error:
        raise click.ClickException(f"{error} Stop it first.") from error
    try:
        yield read_settings(home.settings)
    except (CinnabarError, hsm.HsmError, OSError, msgspec.MsgspecError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        os.close(held)


def _tokens(settings: BoxSettings, names: tuple[str, ...]) -> list[TokenSettings]:
    found = [token for token in settings.tokens if token.name in names]
    if len(found) != len(set(names)):
        raise click.BadParameter("the box has no such token", param_hint="--token")
    return found


def _plain(home: Home, token: TokenSettings) -> dict[str, str]:
    if token.pin_source != "file":
        raise click.ClickException(f"{token.name}: open its PIN first (cinnabar pins open)")
    files = {token.name: token.pin_file}
    if token.standby_pin_file is not None:
        files[f"{token.name}.standby"] = token.standby_pin_file
    return {name: hsm.PinFile(home.root / path)() for name, path in files.items()}


def _kept(
    home: Home, settings: BoxSettings, token: TokenSettings, locked: dict[str, LockedPin], source: str
) -> BoxSettings:
    """Locks first, then the settings, then the PINs away: whatever moment ends this, the box can be started."""
    for name, one in locked.items():
        write_file(locked_path(home, name), write_locked_pin(one), 0o600)
    sync_directory(home.secrets)
    following = _written(home, settings, token, source)
    for path in {token.pin_file, token.standby_pin_file or token.pin_file}:
        _erase(home.root / path)
    for copy in (home.secrets / "for").glob(f"*/{token.name}*.pin"):
        _erase(copy)
    sync_directory(home.secrets)
    return following


def _written(home: Home, settings: BoxSettings, token: TokenSettings, source: str) -> BoxSettings:
    tokens = [
        msgspec.structs.replace(one, pin_source=source) if one.name == token.name else one for one in settings.tokens
    ]
    following = msgspec.structs.replace(settings, tokens=tokens)
    write_file(home.settings, encode_settings(following), home.settings.stat().st_mode & 0o777)
    sync_directory(home.root)
    return following


def _erase(path: Path) -> None:
    """Overwrite and remove: on disks that write in place, nothing is left of it. Change the PIN where that matters.

    A copy stands in a directory of the user that it is for. A link that stands there instead is removed, and what it
    leads to stays as it is."""
    try:
        file = open_file(path, write=True)
    except OSError:
        pass  # none is there, or no plain one
    else:
        with file:
            file.write(bytes(min(os.fstat(file.fileno()).st_size, _MOST_BYTES)))
            file.flush()
            os.fsync(file.fileno())
    remove_file(path)


def _new_passphrase(officer: str) -> str:
    """Typed twice on a terminal, where nobody sees it; from a pipe it is read once, for there is nothing to mistype."""
    terminal = sys.stdin.isatty()
    asked = f"New passphrase of {officer} ({PASSPHRASE_MINIMUM} characters or more)"
    again = f"The same again, {officer}" if terminal else False
    typed: str = click.prompt(asked, hide_input=terminal, confirmation_prompt=again)
    return typed


def _opened(locked: LockedPin) -> str:
    if locked.source == "tpm":
        return open_with_tpm(locked, tpm.unseal)
    parts: dict[int, bytes] = {}
    while (left := locked.threshold - len(parts)) > 0:
        officers = ", ".join(part.person for part in locked.parts if part.index not in parts)
        asked = f"A passphrase for {locked.token} (of {officers}; {left} still needed)"
        passphrase = click.prompt(asked, hide_input=sys.stdin.isatty())
        found = find_part(locked, passphrase, tuple(parts))
        if found is None:
            raise PassphraseUnfit("this passphrase opens nothing")
        parts[found[0]] = found[1]
    return open_with_parts(locked, parts)
