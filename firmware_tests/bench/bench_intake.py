"""How fast a file of rows is taken in, durable letters included, and with how much memory. One JSON line a measure.

python -m firmware_tests.bench.bench_intake [--rows N] [--format csv|xlsx|ndjson ...]

intake          rows/s from the first byte sent to the last verdict, every row a letter of its own (performance bond)
intake-again    rows/s of the same file sent again: every row is a duplicate
intake-memory   MiB resident of the largest API worker, the recorder and the documents' keeper with its children, at the
                beginning, at 10 % and at 90 % of the rows
intake-cpu      microseconds of processor a row, by process
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import openpyxl

from appliance.api.intakes.schemas import Intake
from appliance.client import Client, Credentials
from appliance.client.intake_files import send_intake, watch_intake
from firmware_tests.letters.kinds import install
from firmware_tests.running import RunningBox

KIND = "performance-bond"
HEADER = (
    "number", "contract_number", "contractor", "contractor.id", "beneficiary", "industry", "amount", "amount.currency",
    "documents", "valid_until",
)  # fmt: skip


def say(measure: str, **more: Any) -> None:
    print(json.dumps({"measure": measure} | more), flush=True)


def rows(count: int) -> Iterator[tuple[str, ...]]:
    for at in range(count):
        yield (
            f"LY-{at:08d}", f"HT-{at:08d}", f"佛山建工第{at % 997}有限公司", f"91440600MA4U{at % 997:06d}",
            "佛山市住房和城乡建设局", "E47", f"{at % 900 + 100}000.00", "CNY", "招标文件", "2027-12-31",
        )  # fmt: skip


def written(path: Path, count: int) -> Path:
    """The file of the bench in the form that its name says."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            writer.writerows(rows(count))
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("rows")
        sheet.append(HEADER)
        for row in rows(count):
            sheet.append(row)
        book.save(path)
    else:
        with path.open("wb") as file:
            for number, contract, name, identity, owner, industry, amount, currency, documents, until in rows(count):
                fields = {
                    "number": number, "contract_number": contract, "contractor": {"name": name, "id": identity},
                    "beneficiary": {"name": owner}, "industry": industry, "documents": documents, "valid_until": until,
                    "amount": {"amount": amount, "currency": currency},
                }  # fmt: skip
                file.write(msgspec.json.encode(fields) + b"\n")
    return path


def resident(box: RunningBox) -> dict[str, int]:
    """MiB resident by process."""
    found: dict[str, int] = {}
    for name, pid in box.processes().items():
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        kind = "worker" if name.startswith("api-") else name
        if kind in ("worker", "recorder", "documents"):
            found[kind] = max(found.get(kind, 0), pages * 4 // 1024)
    children = Path(f"/proc/{box.processes()['documents']}/task").glob("*/children")
    for child in " ".join(path.read_text() for path in children).split():
        status = Path(f"/proc/{child}/statm")
        if status.exists():
            pages = int(status.read_text().split()[1])
            found["document-worker"] = max(found.get("document-worker", 0), pages * 4 // 1024)
    return found


def spent(box: RunningBox) -> dict[str, float]:
    """Seconds of processor so far, by process."""
    found: dict[str, float] = {}
    for name, pid in box.processes().items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        kind = "workers" if name.startswith("api-") else name
        found[kind] = found.get(kind, 0) + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return found


def measure(box: RunningBox, client: Client, file: Path, count: int) -> None:
    memory = [resident(box)]
    marks = [0.1, 0.9]

    def progress(run: Intake) -> None:
        if marks and run.decided >= marks[0] * count:
            marks.pop(0)
            memory.append(resident(box))

    for name in ("intake", "intake-again"):
        begun, before = time.monotonic(), spent(box)
        run = watch_intake(client, send_intake(client, KIND, file).intake, progress=progress)
        seconds = time.monotonic() - begun
        counts = (run.accepted, run.duplicate) if name == "intake" else (run.duplicate, run.accepted)
        assert (run.state, counts) == ("done", (count, 0)), run
        say(name, form=file.suffix[1:], rows=count, value=round(count / seconds), unit="rows/s")
        if name == "intake":
            used = {kind: round((one - before.get(kind, 0)) / count * 1e6) for kind, one in spent(box).items()}
            say(
                "intake-cpu",
                form=file.suffix[1:],
                unit="us/row",
                value={kind: one for kind, one in used.items() if one},
            )
            say("intake-memory", form=file.suffix[1:], unit="MiB", value=memory)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--format", nargs="*", choices=("csv", "xlsx", "ndjson"), default=["csv", "xlsx", "ndjson"])
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="cinnabar-intake-"))
    root.chmod(0o755)
    box = RunningBox(root / "box", *(f"of-{form}" for form in arguments.format))
    box.provision()
    for tenant in box.tenants:
        install(box.home, tenant)
    box.start()
    try:
        for tenant, form in zip(box.tenants, arguments.format, strict=True):
            file = written(root / f"rows.{form}", arguments.rows)
            certificate, key = box.credentials(tenant)
            credentials = Credentials(certificate, key, box.home.trust / "box-ca.pem")
            with Client(box.url, credentials=credentials) as client:
                measure(box, client, file, arguments.rows)
    finally:
        status = box.stop()
        shutil.rmtree(root)
    assert status == 0


if __name__ == "__main__":
    main()
