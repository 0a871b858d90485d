"""A file of rows sent, watched and its verdicts fetched, with a client."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from appliance.client.intake_calls import PART_BYTES

if TYPE_CHECKING:
    from appliance.api.intakes.schemas import Intake, RowVerdict, Verdict
    from appliance.client.synchronous import Client

Form = Literal["csv", "xlsx", "ndjson"]
FORMS: Final[dict[str, Form]] = {".csv": "csv", ".xlsx": "xlsx", ".ndjson": "ndjson", ".jsonl": "ndjson"}
"""By the end of a file's name."""
ENDED: Final = ("done", "failed", "stopped")


def send_intake(
    client: Client,
    kind: str,
    file: Path,
    *,
    form: Form | None = None,
    progress: Callable[[Intake], None] | None = None,
    **options: Any,
) -> Intake:
    """Send a file whole and return its run. `options`: as of `begin_intake`; `progress` is called after each part.

    Raises ValueError where neither `form` nor the file's name says what it is."""
    form = form or FORMS.get(file.suffix.casefold())
    if form is None:
        raise ValueError(f"{file.name}: say whether it is csv, xlsx or ndjson")
    with file.open("rb") as content:
        size, digest = file.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()
    run = client.begin_intake(kind, form, size, digest, **options)
    return send_parts(client, run, file, progress=progress)


def send_parts(client: Client, run: Intake, file: Path, *, progress: Callable[[Intake], None] | None = None) -> Intake:
    """Send what a run lacks of its file."""
    with file.open("rb") as content:
        while run.state == "receiving" and run.received < run.size:
            content.seek(run.received)
            run = client.send_intake_part(run.intake, run.received, content.read(PART_BYTES))
            if progress is not None:
                progress(run)
    return run


def watch_intake(
    client: Client, intake_id: str, *, progress: Callable[[Intake], None] | None = None, every_s: float = 0.2
) -> Intake:
    """Wait until a run has ended or stopped; `progress` is called with each look at it."""
    while True:
        run = client.intake(intake_id)
        if progress is not None:
            progress(run)
        if run.state in ENDED:
            return run
        time.sleep(every_s)


def all_verdicts(client: Client, intake_id: str, only: Verdict | None = None) -> Iterator[RowVerdict]:
    """Every verdict of a run so far, page by page."""
    after: int | None = 0
    while after is not None:
        page = client.intake_verdicts(intake_id, after=after, only=only)
        yield from page.verdicts
        after = page.next
