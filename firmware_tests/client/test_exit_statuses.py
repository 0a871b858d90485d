"""`cinnabar fees check` answers by its exit status: 0 all bills hold, 1 one is wrong, 2 not all could be checked."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.client.cli import group
from appliance.own_statuses import CALLED_WRONGLY


@pytest.fixture
def nobody(tmp_path: Path) -> tuple[str, ...]:
    """An address at which nobody answers, and what to call it with."""
    key, certificate = tmp_path / "app.key", tmp_path / "app.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=app"]
    subprocess.run(command, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    files = ("--cert", str(certificate), "--key", str(key), "--ca", str(certificate))
    return ("--url", f"https://127.0.0.1:{port}", *files)


def status(*words: str) -> int:
    return CliRunner().invoke(group, ["fees", "check", *words]).exit_code


@pytest.mark.parametrize(
    "words", [(), ("2026-11", "--nonsense"), ("2026-11", "2026-12"), ("2026-11", "--kind", "none")]
)
def test_wrong_use_is_no_answer(words: tuple[str, ...]) -> None:
    assert status(*words) == CALLED_WRONGLY


def test_a_file_that_is_no_kind_is_wrong_use(tmp_path: Path, nobody: tuple[str, ...]) -> None:
    file = tmp_path / "kind.toml"
    file.write_text("this is no kind")
    assert status("2026-11", "--kind", str(file), *nobody) == CALLED_WRONGLY


def test_a_box_that_is_not_there_is_no_wrong_bill(tmp_path: Path) -> None:
    assert status("2026-11", "--home", str(tmp_path)) == 2


def test_a_box_that_does_not_answer_is_no_wrong_bill(nobody: tuple[str, ...]) -> None:
    assert status("2026-11", *nobody) == 2
