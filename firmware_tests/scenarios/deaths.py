"""Orders to processes of a running box to die at a named step, and a box whose processes take them."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import msgspec

from appliance.box.settings import read_settings, write_settings
from firmware_tests.running import RunningBox, wait_until

DYING = Path(__file__).parent / "dying" / "sitecustomize.py"


class Deaths:
    """Where orders are given; see firmware_tests/scenarios/dying. One at a time."""

    def __init__(self, root: Path) -> None:
        self.code, self._orders = root / "code", root / "orders"
        self.code.mkdir(parents=True)
        shutil.copy(DYING, self.code)
        self._orders.mkdir()
        self._orders.chmod(0o777)  # whoever takes an order renames it
        self.order_name = ""

    def prepare(self, box: RunningBox) -> None:
        """Have the box's processes take orders, before it is started."""
        settings = read_settings(box.home.settings)
        more = {"PYTHONPATH": str(self.code), "DYING_ORDERS": str(self._orders)}
        write_settings(box.home.settings, msgspec.structs.replace(settings, environment=settings.environment | more))

    def order(self, step: str, times: int = 1) -> None:
        """Whoever passes the step so often dies then."""
        self.order_name = secrets.token_hex(8)
        scratch = self._orders / f".{self.order_name}"
        scratch.write_text(f"{step}\n{times}\n{self.order_name}")
        scratch.chmod(0o644)
        scratch.rename(self._orders / "order")

    @property
    def dead(self) -> int | None:
        """The process that took the last order and has died of it."""
        for taken in self._orders.glob(f"{self.order_name}.*"):
            process = int(taken.name.rpartition(".")[2])
            wait_until(lambda: not _lives(process), 5, "the death of a process")  # noqa: B023 - called at once
            return process
        return None


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
