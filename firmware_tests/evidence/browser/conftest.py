"""The page's rules in node, asked one command at a time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.evidence.browser import rules

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    script = tmp_path_factory.mktemp("rules") / "rules.js"
    script.write_text(rules())
    process = subprocess.Popen(
        ["node", "--no-warnings", str(Path(__file__).with_name("rules.js")), str(script)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def command(name: str, **arguments: Any) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"command": name, **arguments}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        if "refused" in answer:
            assert not answer["refused"].startswith("unexpected"), answer
            return answer["refused"]
        return answer["answer"]

    yield command
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    assert process.stdout is not None
    process.stdout.close()
