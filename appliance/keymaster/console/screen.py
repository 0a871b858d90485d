"""The console as a text screen: one page, a line of choices, and what ceremonies ask as it comes."""

from __future__ import annotations

from collections.abc import Callable

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from appliance.ceremonies import digest_words
from appliance.errors import CinnabarError
from appliance.keymaster.console.cli import founding_lines, parse_scopes, proposal_lines, status_lines
from appliance.keymaster.console.client import ConsoleClient
from appliance.quoting import escape

Choice = tuple[str, str, Callable[[], None]]


class Screen:
    """Shows how the box stands and does what is chosen, until told to leave."""

    def __init__(self, client: ConsoleClient, screen: Console | None = None) -> None:
        self._client = client
        self._screen = screen or Console(highlight=False)
        self._leaving = False

    def run(self) -> None:
        while not self._leaving:
            self._show()
            choices = self._choices()
            self._screen.print(Text("  ".join(f"[{key}] {label}" for key, label, _ in choices), style="bold"))
            key = click.prompt("", prompt_suffix="> ", default="r", show_default=False)
            action = next((act for known, _, act in choices if known == key.strip().lower()), None)
            if action is None:
                continue
            try:
                action()
            except CinnabarError as error:
                self._say(f"{error}. Nothing was changed.")
            except click.ClickException as error:
                self._say(error.format_message())

    def _choices(self) -> list[Choice]:
        choices: list[Choice] = [("r", "refresh", lambda: None)]
        if self._client.pending():
            choices.append(("a", "answer a ceremony", self._answer))
        choices += [("i", "invite", self._invite), ("c", "confirm a candidate", self._confirm)]
        status = self._client.status()
        if not status["founded"] and status["refused"] is None:
            choices.append(("f", "found the constitution", self._found))
        choices += [("p", "show a proposal", self._proposal), ("q", "leave", self._leave)]
        return choices

    def _show(self) -> None:
        screen = self._screen
        if screen.is_terminal:
            screen.clear()
        screen.print(Panel(Text("\n".join(status_lines(self._client.status()))), title="Cinnabar console", width=110))
        candidates = self._client.candidates()
        if candidates:
            table = Table("Candidate", "Person", "State", "Words of the key", title="Candidates", width=110)
            for one in candidates:
                table.add_row(one["id"], Text(escape(one["name"])), one["state"], one["words"])
            screen.print(table)
        rows = [row for row in self._client.proposals() if row["state"] in {"open", "approved", "executing", "failed"}]
        if rows:
            table = Table("Proposal", "State", "Title", title="Proposals", width=110)
            for row in rows[:10]:
                table.add_row(row["digest"][:16], row["state"], Text(escape(row["title"])))
            screen.print(table)
        for question in self._client.pending():
            screen.print(Text(f"A ceremony asks ({question['number']}): {escape(question['prompt'])}", style="bold"))

    def _say(self, text: str) -> None:
        self._screen.print(Text(text))
        click.prompt("Press Enter", prompt_suffix=" ", default="", show_default=False)

    def _leave(self) -> None:
        self._leaving = True

    def _invite(self) -> None:
        person = click.prompt("Id of the person (lower-case letters, digits, hyphens)")
        address = self._client.enrolment_links()
        self._say(f"{address}{self._client.invite(person, click.prompt('Name'))}")

    def _confirm(self) -> None:
        start = click.prompt("Id of the candidate (its first characters are enough)")
        found = [one for one in self._client.candidates() if one["id"].startswith(start)]
        if len(found) != 1:
            raise click.ClickException("no candidate, or more than one, begins so")
        one = found[0]
        self._screen.print(Text(f"{escape(one['name'])}, who would be {one['person']}:\n{one['words']}"))
        self._screen.print(Text(digest_words(one["fingerprint"], "chinese_simplified")))
        if click.confirm("Are these the words on that person's own page, read to you by that person?"):
            code = self._client.code(one["id"])
            self._say(f"Code for that page, good for 10 minutes: {code[:4]} {code[4:]}")
        elif click.confirm("Forget this candidate?"):
            self._client.discard(one["id"])

    def _found(self) -> None:
        threshold = click.prompt("Approvals that each scope needs", type=click.IntRange(1, 100))
        scopes: dict[str, list[str]] = {}
        while line := click.prompt("Other officers for a scope (tenant/NAME:person,person), or Enter", default=""):
            scopes |= parse_scopes((line,))
        made = self._client.prepare_founding(threshold, scopes)
        self._screen.print(Text("\n".join(founding_lines(made))))
        typed = click.prompt("Type the first four English words, or Enter to leave it", default="", show_default=False)
        if typed:
            version = self._client.found(made["digest"], typed)
            self._say(f"The constitution is in force, version {version}.")

    def _proposal(self) -> None:
        start = click.prompt("Digest (its first characters are enough)")
        found = [row["digest"] for row in self._client.proposals() if row["digest"].startswith(start)]
        if len(found) != 1:
            raise click.ClickException("no proposal, or more than one, begins so")
        language = click.prompt("Language", type=click.Choice(["en", "zh-Hans"]), default="en")
        lines = proposal_lines(self._client.proposal(found[0]), self._client.constitution(), language)
        self._say("\n".join(lines))

    def _say_of_shown(self, number: int) -> None:
        if click.confirm("It was shown already, and is not shown again. Was it taken down?"):
            self._client.answer(number, "")
        elif click.confirm("Give it up? The step fails then; executed again, it shows something new."):
            self._client.give_up(number)

    def _answer(self) -> None:
        for question in self._client.pending():
            self._screen.print(Text(escape(question["prompt"])))
            if question["kind"] == "show":
                if question["shown"]:
                    self._say_of_shown(question["number"])
                    continue
                self._say(self._client.text(question["number"]))
                if self._screen.is_terminal:
                    self._screen.clear()
                self._client.answer(question["number"], "")
            else:
                typed = click.prompt("Answer", hide_input=bool(question["secret"]))
                self._client.answer(question["number"], typed)
