"""Exit statuses of commands that answer by theirs."""

from __future__ import annotations

from typing import Any

import click

CALLED_WRONGLY = 64
"""EX_USAGE of sysexits.h: none of the statuses 0, 1 and 2 that such a command answers with."""


class _CalledWrongly(click.UsageError):
    exit_code = CALLED_WRONGLY


class OwnStatuses(click.Command):
    """A command whose exit status 2 is an answer: that it was called wrongly is told by another one.

    Click exits with 2 for wrong options, and a script that asks whether it was undecided would take a typing error
    for the answer.
    """

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        """Read the arguments. A UsageError exits with CALLED_WRONGLY."""
        try:
            return super().make_context(*arguments, **named)
        except click.UsageError as error:
            raise _CalledWrongly(error.format_message(), error.ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A UsageError, such as of a file that cannot be read, exits with CALLED_WRONGLY."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _CalledWrongly(error.format_message(), error.ctx) from None
