"""Evidence of a letter with 20 events: how long it takes to put together and to check, and how large it is. Prints one
JSON line a measure.

python -m firmware_tests.bench.bench_letters_evidence [--events N]

evidence-build      letter_container, in milliseconds (aim: at most 50)
evidence-size       KiB besides documents (aim: at most 300)
evidence-manifest   event_manifest on the path of every event, in microseconds
evidence-verify     the offline verifier, in milliseconds
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.asic import event_manifest, read_container
from firmware_tests.evidence.letters import check, evidence, plain_letter, surroundings
from firmware_tests.letters.kinds import BID_BOND

FILES = [(f"event-0007{end}", "application/json", bytes(32)) for end in (".json", "/letter.pdf")]


def best_s(call: Callable[[], object], rounds: int) -> float:
    """The best round: the machine's other work only adds."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return min(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20)
    events = parser.parse_args().events
    chain = plain_letter(events)
    lists = list(surroundings()[0].crls.values())
    made = evidence(chain, lists=lists, kinds=[BID_BOND])
    documents = sum(len(content) for name, content in read_container(made).items() if "/letter.pdf" in name)
    assert check(made).exit_code == 0
    measures = {
        "evidence-build": (best_s(lambda: evidence(chain, lists=lists, kinds=[BID_BOND]), 50) * 1e3, "ms"),
        "evidence-size": ((len(made) - documents) / 1024, "KiB"),
        "evidence-manifest": (best_s(lambda: [event_manifest(7, FILES) for _ in range(1_000)], 20) * 1e3, "us"),
        "evidence-verify": (best_s(lambda: check(made), 3) * 1e3, "ms"),
    }
    for measure, (value, unit) in measures.items():
        print(json.dumps({"measure": measure, "value": round(value, 2), "unit": unit, "events": events}))


if __name__ == "__main__":
    main()
