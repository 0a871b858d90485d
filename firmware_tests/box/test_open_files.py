"""The front asks for as many open files as it may have, and holds as many connections as those leave."""

from __future__ import annotations

import subprocess
import sys

import pytest

from appliance.box.open_files import WANTED_FILES, WORKER_CONNECTIONS, connections_for


@pytest.mark.parametrize(("files", "connections"), [(WANTED_FILES, WORKER_CONNECTIONS), (20_000, 9_488), (1_024, 256)])
def test_connections_leave_room_for_both_of_their_ends(files: int, connections: int) -> None:
    assert connections_for(files) == connections
    assert 2 * connections <= files


def test_the_hard_limit_is_raised_or_taken_as_it_is() -> None:
    """In another process, which cannot go back up."""
    code = (
        "import resource; from appliance.box.open_files import *\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (512, 4096)); files = raise_limit()\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "assert soft == 512 and files == hard and hard in (4096, WANTED_FILES), (soft, hard, files)\n"
        "assert allowed_files() == files"
    )
    subprocess.run((sys.executable, "-c", code), check=True)
