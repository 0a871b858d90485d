"""docs/tutorial-first-letter.md, followed as a reader follows it: every command, every snippet, every output."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware_tests.running import RunningBox

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-first-letter.md"
ADDRESS = "127.0.0.1:8443"
STOPPED = "<!-- the box is stopped here -->"
_PIECE = re.compile(rf"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$|^{STOPPED}$", re.MULTILINE | re.DOTALL)
_OUTPUT = doctest.OutputChecker()


@dataclass(frozen=True)
class Step:
    """One thing that the page tells its reader to do."""

    kind: str
    """sh, python, terminal (the box's own), or stop."""
    text: str
    expected: str | None
    line: int


def steps() -> list[Step]:
    page = PAGE.read_text()
    found: list[Step] = []
    for piece in _PIECE.finditer(page):
        line = page.count("\n", 0, piece.start()) + 1
        kind = piece["kind"] or "stop"
        if kind == "text":
            assert found[-1].expected is None, f"line {line}: a second output of one step"
            found[-1] = Step(found[-1].kind, found[-1].text, piece["text"], found[-1].line)
        else:
            found.append(Step(kind.removeprefix("sh "), piece["text"] or "", None, line))
    return found


class Reader:
    """Somebody in an empty directory with a terminal and a Python session."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.box = RunningBox(directory / "box")
        self.session: dict[str, object] = {"__name__": "__tutorial__"}
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_STATE_HOME": str(directory / "state"),
        }
        self.environment.pop("CINNABAR_HOME", None)

    def follow(self, step: Step) -> None:
        said = getattr(self, step.kind)(step)
        if step.expected is not None:
            said = said.rstrip("\n") + "\n"
            assert _OUTPUT.check_output(step.expected, said, doctest.ELLIPSIS), (
                f"line {step.line}, but it said:\n{said}"
            )

    def _here(self, text: str) -> str:
        return text.replace(ADDRESS, self.box.address()) if self.box.running else text

    def terminal(self, step: Step) -> str:
        """The page's address is the default one; a test takes a free one."""
        assert step.text == "cinnabar run --home box\n"
        self.box.start()
        return self.box.said()

    def stop(self, step: Step) -> str:
        assert not step.text
        assert self.box.stop() == 0, self.box.said()
        return ""

    def sh(self, step: Step) -> str:
        ran = subprocess.run(
            ("bash", "-euo", "pipefail", "-c", self._here(step.text)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=self.directory,
            env=self.environment,
            timeout=120,
        )
        assert ran.returncode == 0, f"line {step.line}: {ran.stdout}"
        return ran.stdout

    def python(self, step: Step) -> str:
        said = io.StringIO()
        code = compile("\n" * step.line + self._here(step.text), str(PAGE), "exec", dont_inherit=True)
        with contextlib.chdir(self.directory), contextlib.redirect_stdout(said):
            exec(code, self.session)  # noqa: S102 - our own page
        return said.getvalue()


@pytest.fixture
def reader(open_directory: Path) -> Iterator[Reader]:
    directory = open_directory / "tutorial"
    directory.mkdir()
    made = Reader(directory)
    yield made
    if made.box.running:
        made.box.stop()


def test_the_page_has_what_it_promises() -> None:
    kinds = [step.kind for step in steps()]
    assert set(kinds) == {"sh", "python", "terminal", "stop"}
    assert kinds.count("terminal") == kinds.count("stop") == 1
    assert "python" not in kinds[kinds.index("stop") :], "after the box is stopped there is nothing to call"


def test_every_step_does_what_the_page_says(reader: Reader) -> None:
    for step in steps():
        reader.follow(step)
