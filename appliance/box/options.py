"""The option that says which box a command is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

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
