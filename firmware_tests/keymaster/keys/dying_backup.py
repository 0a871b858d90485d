"""A life of the keymaster that dies by SIGKILL in the middle of a backup: `HOME DIGEST MOMENT`.

installed: the wrapping key is in the token and the process that put it there dies with ours; before-trial: keys are
wrapped; handing-out: the first share is on the console."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from appliance.keymaster.actions import backups
from appliance.keymaster.keys import wrapping
from firmware_tests.keymaster.room import Bench, Life
from hsm import Pkcs11Uri
from hsm.backup import install_wrapping_key


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def live(life: Life, digest: str, moment: str) -> None:
    run_job = wrapping.run_job

    async def dying(job: wrapping.Job, environment: dict[str, str] | None = None) -> wrapping.Outcome:
        if moment == "installed" and isinstance(job, wrapping.Wrap):
            uri = Pkcs11Uri.parse(job.uri)
            life.room.tokens.close()
            install_wrapping_key(uri, lambda: job.so_pin, job.label, job.value)
            die()
        outcome = await run_job(job, environment)
        if moment == "before-trial":
            die()
        return outcome

    backups.run_job = dying  # type: ignore[attr-defined]
    execution = asyncio.create_task(life.executions.execute(digest, 60.0))
    while not execution.done():
        pending: list[Any] = life.room.console.pending()
        if pending and moment == "handing-out":
            life.room.console.take_text(pending[0]["number"])
            die()
        await asyncio.sleep(0.01)
    print(await execution)


def main() -> None:
    root, digest, moment = sys.argv[1:]
    Bench.reopened(Path(root)).run(lambda life: live(life, digest, moment))


if __name__ == "__main__":
    main()
