"""The option that says which box a command is about, and the way of a command to the box's processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from appliance.box.home import Home
from appliance.calls.client import Connection
from appliance.errors import CinnabarError

_Client = TypeVar("_Client", bound=Connection)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def home_option(help_text: str, parameter: str = "root") -> Callable[[_Command], _Command]:
    """--home DIR, else CINNABAR_HOME, else ./var; the help shows both. The command gets `parameter`, a Path."""
    return click.option(
        "--home",
        parameter,
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("var"),
        envvar="CINNABAR_HOME",
        show_default=True,
        show_envvar=True,
        help=help_text,
    )


@contextlib.contextmanager
def connected(
    kind: type[_Client], root: Path, socket: Callable[[Home], Path], who: str = "root on it"
) -> Iterator[_Client]:
    """A connection to one of the box's sockets; what is refused becomes one line. `who`: may connect."""
    home = Home(root.resolve())
    try:
        with kind(socket(home)) as client:
            yield client
    except kind.unavailable as error:
        elsewhere = "" if home.settings.exists() else " No box.json is there: --home or CINNABAR_HOME names another."
        raise click.ClickException(
            f"{error.title}: {error}. Is the box in {root} running, and are you {who}?{elsewhere}"
        ) from error
    except CinnabarError as error:
        raise click.ClickException(f"{error} ({error.code}). Nothing was changed.") from error
