"""`make bench`: every measurement, one JSON line each, on standard output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    status = 0
    for name in names:
        print(f"# {name}", flush=True)
        status |= subprocess.run((sys.executable, "-m", f"firmware_tests.bench.{name}"), check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
