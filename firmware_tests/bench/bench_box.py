"""How fast a whole box works, durable records included, as ratios taken in one run. Prints one JSON line a measure.

python -m firmware_tests.bench.bench_box [--seconds S] [MEASURE...]

bare-loop            signatures/s of two processes that call python-pkcs11 in a loop: the yardstick of the ratios
stamps-unix          RFC 3161 tokens/s over HTTP on the workers' unix sockets ÷ bare loop
stamps-tls           the same through nginx with TLS and client certificates, keep-alive ÷ stamps-unix
seals                CAdES B-B seals/s from digests, one request each ÷ bare loop
seals-b-t            the same with a time-stamp in each (CAdES B-T), two signatures ÷ bare loop
letters              bid bonds begun a second, sealed B-T, with uniqueness and balance ÷ seals, and ÷ seals-b-t
seals-bulk           CAdES B-B seals/s from digests, 10,000 a call ÷ bare loop
stamps-bulk-compact  digests/s stamped in bulk, compact form ÷ bare loop
stamps-bulk-json     the same as JSON with every path
stamp-p99            ms at 70 % of the peak of stamps-unix, open loop; and at half of it
stamp-p99-bulk       ms at 20 % of that peak while 10,000-digest bulk seals run
stamp-p99-verify     ms at 1,000/s while another tenant has large files verified, two calls at a time; and without
stamp-p99-rendering  ms at 1,000/s while another tenant begins letters with rendered PDFs and has PDFs of its own sealed
stamp-p99-large      ms at 1,000/s while another tenant seals documents of 14 MiB into answers of 20 and replays each
stamps-lanes-5ms     stamps/s with every C_Sign delayed ÷ (lanes ÷ delay); also 20ms
worker-memory        MiB resident of the largest API worker after all this
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from appliance.api.bulk_stamps import MEDIA_BATCH, MEDIA_DIGESTS
from appliance.box.front import CERTIFICATE_HEADER
from appliance.box.settings import LaneSettings, read_settings, write_settings
from appliance.client import Client, Credentials
from appliance.client.retries import new_idempotency_key
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.running import RunningBox
from hsm.testing.forwarder import Forwarder, build
from provisioning.tokens import SOFTHSM_MODULE

CONNECTIONS = 96
VERIFY_RATE = 1_000.0
ROUNDS = 3
LETTER_ROUNDS = 7
IMPRINT = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(b"letter").digest()
QUERY = b"\x30\x39\x02\x01\x01" + IMPRINT + b"\x01\x01\xff"
"""A TimeStampReq of version 1 over a SHA-256 imprint that asks for the certificates."""


def say(measure: str, value: float, unit: str, ratio: float | None = None, **more: Any) -> None:
    line = {"measure": measure, "value": round(value, 2), "unit": unit}
    if ratio is not None:
        line["ratio"] = round(ratio, 3)
    print(json.dumps(line | more), flush=True)


class Bench:
    """One run over one box."""

    def __init__(self, box: RunningBox, load: Path, seconds: float) -> None:
        self.box = box
        self.program = load
        self.seconds = seconds
        self.bare = 0.0
        self.scratch = load.parent
        certificate = box.credentials()[0].read_text()
        end = "-----END CERTIFICATE-----\n"
        self.identity = f"{CERTIFICATE_HEADER}: {quote(certificate.split(end)[0] + end)}"
        self.settings = read_settings(box.home.settings)

    # The yardstick

    def bare_loop(self, seconds: float = 4.0) -> float:
        home = self.box.home
        command = (
            sys.executable, str(Path(__file__).with_name("bare_loop.py")),
            "demo", "demo-tsu", str(home.secrets / "demo.pin"), str(min(seconds, self.seconds)),
        )  # fmt: skip
        environment = os.environ | {"SOFTHSM2_CONF": str(home.tokens / "softhsm2.conf")}
        loops = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        return sum(float(loop.communicate()[0]) for loop in loops)

    def processor_us(self) -> dict[str, float]:
        """Processor time so far of each process of the box, microseconds."""
        tick = 1e6 / os.sysconf("SC_CLK_TCK")
        found = {}
        for name, pid in self.box.processes().items():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[name] = (int(fields[11]) + int(fields[12])) * tick
        return found

    # Loads

    def load(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen((str(self.program), *arguments), stdout=subprocess.PIPE, text=True)

    def body(self, name: str, content: bytes) -> str:
        path = self.scratch / name
        path.write_bytes(content)
        return str(path)

    def unix(
        self, path: str, body: str, media_type: str, connections: int, rate: float = 0.0, **more: str
    ) -> dict[str, float]:
        """Both workers' sockets at once, a generator each."""
        options = ["-H", f"Content-Type: {media_type}", "-H", self.identity, "-b", body, "-p", path]
        options += [text for name, value in more.items() for text in ("-H", f"{name.replace('_', '-')}: {value}")]
        pace = ["-r", str(rate / self.settings.workers)] if rate else []
        loads = [
            self.load(
                "-u", str(self.box.home.worker_socket(number, "applications")),
                "-c", str(connections // self.settings.workers), "-s", str(self.seconds), *options, *pace,
            )
            for number in range(self.settings.workers)
        ]  # fmt: skip
        return _sum([json.loads(load.communicate()[0]) for load in loads])

    def costed(self, path: str, body: str, media_type: str) -> dict[str, float]:
        """A load as of `unix`, with the processor time that each process of the box, and all together ("all"), took for
        one of its requests, microseconds."""
        before = self.processor_us()
        found = self.unix(path, body, media_type, CONNECTIONS)
        made = found["rate"] * self.seconds
        costs = {name: (us - before[name]) / made for name, us in self.processor_us().items()}
        return found | costs | {"all": sum(costs.values())}

    def tls(self, path: str, body: str, media_type: str, connections: int) -> dict[str, float]:
        host, _, port = self.box.address().rpartition(":")
        certificate, key = self.box.credentials()
        load = self.load(
            "-t", host, "-P", port, "-C", str(certificate), "-K", str(key),
            "-A", str(self.box.home.trust / "box-ca.pem"), "-H", f"Content-Type: {media_type}",
            "-b", body, "-p", path, "-c", str(connections), "-s", str(self.seconds),
        )  # fmt: skip
        return _sum([json.loads(load.communicate()[0])])

    def client(self) -> Client:
        certificate, key = self.box.credentials()
        ca = self.box.home.trust / "box-ca.pem"
        return Client(self.box.url, credentials=Credentials(certificate, key, ca))

    # Measures

    def stamps(self, wanted: Callable[[str], bool]) -> None:
        query = self.body("query", QUERY)
        media_type = "application/timestamp-query"
        with self.client() as client:
            client.timestamp(QUERY, unit="demo-tsu")  # raises where a rejection would be counted as a stamp
        rates, ratios, tls, costs = [], [], [], []
        for _ in range(ROUNDS):
            bare = self.bare_loop()
            unix = self.costed("/tsa/demo-tsu", query, media_type)
            costs.append({name: round(unix[name], 1) for name in self.box.processes()})
            rates.append(unix["rate"])
            ratios.append(unix["rate"] / bare)
            self.bare = bare
            if wanted("stamps-tls"):
                tls.append(self.tls("/tsa/demo-tsu", query, media_type, CONNECTIONS)["rate"] / unix["rate"])
        self.peak = statistics.median(rates)
        say("bare-loop", self.bare, "1/s")
        say("stamps-unix", self.peak, "1/s", statistics.median(ratios), p50_us=unix["p50_us"], p99_us=unix["p99_us"])
        # What bounds the figure: processor time a stamp of each process; the two generators are beside them.
        say("stamps-unix-processor", sum(costs[-1].values()), "us", **costs[-1])
        if tls:
            say("stamps-tls", statistics.median(tls) * self.peak, "1/s", statistics.median(tls))
        for share in (0.7, 0.5) if wanted("stamp-p99") else ():
            paced = self.unix("/tsa/demo-tsu", query, media_type, 256, share * self.peak)
            say(
                "stamp-p99", paced["p99_us"] / 1000, "ms", p50_ms=paced["p50_us"] / 1000, rate=paced["rate"],
                missed=paced["missed"], share=share,
            )  # fmt: skip
        if wanted("stamp-p99-bulk"):
            with self.bulk_seals_running() as sealed:
                paced = self.unix("/tsa/demo-tsu", query, media_type, 256, 0.2 * self.peak)
            say(
                "stamp-p99-bulk", paced["p99_us"] / 1000, "ms", p50_ms=paced["p50_us"] / 1000, rate=paced["rate"],
                missed=paced["missed"], bulk_calls=sealed[0],
            )  # fmt: skip

    def stamps_beside_verify(self) -> None:
        query = self.body("query", QUERY)
        media_type = "application/timestamp-query"
        alone = self.unix("/tsa/demo-tsu", query, media_type, 64, VERIFY_RATE)
        with self.verifications_running() as calls:
            paced = self.unix("/tsa/demo-tsu", query, media_type, 64, VERIFY_RATE)
        say(
            "stamp-p99-verify", paced["p99_us"] / 1000, "ms", p50_ms=paced["p50_us"] / 1000, rate=paced["rate"],
            missed=paced["missed"], verify_calls=calls[0], alone_p99_ms=alone["p99_us"] / 1000,
        )  # fmt: skip

    @contextmanager
    def verifications_running(self) -> Iterator[list[int]]:
        """The other tenant sends a document of 16 MiB with many seals and stamps of it, again and again."""
        document = os.urandom(16 * 1024 * 1024)
        digest = hashlib.sha256(document).hexdigest()
        files = [{"name": "letter", "content": document}]
        with self.box.http("other") as client:
            for number in range(30):
                seal = client.post("/v1/seals", json={"digest": digest, "level": "B-T"}).raise_for_status().json()
                files.append({"name": f"{number}.p7s", "content": base64.b64decode(seal["cms"])})
        body = msgspec.json.encode({"files": files})
        stop, calls = threading.Event(), [0]

        def verify() -> None:
            with self.box.http("other", headers={"Content-Type": "application/json"}) as client:
                while not stop.is_set():
                    answer = client.post("/v1/verify", content=body)
                    assert answer.status_code == 200, answer.text
                    calls[0] += 1

        threads = [threading.Thread(target=verify) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        yield calls
        stop.set()
        for thread in threads:
            thread.join()

    def stamps_beside_large(self) -> None:
        query = self.body("query", QUERY)
        media_type = "application/timestamp-query"
        alone = self.unix("/tsa/demo-tsu", query, media_type, 64, VERIFY_RATE)
        with self.large_seals_running() as calls:
            paced = self.unix("/tsa/demo-tsu", query, media_type, 64, VERIFY_RATE)
        say(
            "stamp-p99-large", paced["p99_us"] / 1000, "ms", p50_ms=paced["p50_us"] / 1000, rate=paced["rate"],
            missed=paced["missed"], calls=calls[0], alone_p99_ms=alone["p99_us"] / 1000,
        )  # fmt: skip

    @contextmanager
    def large_seals_running(self) -> Iterator[list[int]]:
        """The other tenant has large documents sealed, each carried inside its seal, and asks for each seal twice."""
        body = msgspec.json.encode({"document": os.urandom(14 * 1024 * 1024), "form": "enveloping", "level": "B-B"})
        stop, calls = threading.Event(), [0]

        def seal() -> None:
            with self.box.http("other", headers={"Content-Type": "application/json"}) as client:
                while not stop.is_set():
                    key = new_idempotency_key()
                    for _ in range(2):
                        answer = client.post("/v1/seals", content=body, headers={"Idempotency-Key": key})
                        assert answer.status_code == 200, answer.text
                        calls[0] += 1

        thread = threading.Thread(target=seal)
        thread.start()
        time.sleep(0.5)
        yield calls
        stop.set()
        thread.join()

    def stamps_beside_rendering(self) -> None:
        query = self.body("query", QUERY)
        media_type = "application/timestamp-query"
        alone = self.unix("/tsa/demo-tsu", query, media_type, 64, VERIFY_RATE)
        with self.documents_running() as calls:
            paced = self.unix("/tsa/demo-tsu", query, media_type, 64, VERIFY_RATE)
        say(
            "stamp-p99-rendering", paced["p99_us"] / 1000, "ms", p50_ms=paced["p50_us"] / 1000, rate=paced["rate"],
            missed=paced["missed"], letters=calls[0], uploads=calls[1], alone_p99_ms=alone["p99_us"] / 1000,
        )  # fmt: skip

    @contextmanager
    def documents_running(self) -> Iterator[list[int]]:
        """The other tenant begins letters whose page is set and sealed, and has PDFs sealed, without pause."""
        asked = {"kind": "bid-bond", "document": True}
        stop, calls = threading.Event(), [0, 0]

        def begin(client: httpx.Client) -> dict[str, Any]:
            fields = FIELDS | {"tender_code": f"T-{os.urandom(6).hex().upper()}"}
            answer = client.post("/v1/letters", content=msgspec.json.encode(asked | {"fields": fields}))
            assert answer.status_code == 200, answer.text
            made: dict[str, Any] = answer.json()
            return made

        def render() -> None:
            with self.box.http("other", headers=headers) as client:
                while not stop.is_set():
                    begin(client)
                    calls[0] += 1

        def upload() -> None:
            with self.box.http("other", headers=headers) as client:
                while not stop.is_set():
                    answer = client.post("/v1/documents/seals", content=body)
                    assert answer.status_code == 200, answer.text
                    calls[1] += 1

        headers = {"Content-Type": "application/json"}
        with self.box.http("other", headers=headers) as client:
            page = begin(client)["happened"]["beside"]["letter.pdf"]
        body = msgspec.json.encode({"document": page, "level": "B-T"})
        threads = [threading.Thread(target=one) for one in (render, render, render, upload, upload)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        yield calls
        stop.set()
        for thread in threads:
            thread.join()

    @contextmanager
    def bulk_seals_running(self) -> Iterator[list[int]]:
        stop, calls = threading.Event(), [0]

        def seal() -> None:
            with self.client() as client:
                while not stop.is_set():
                    digests = [hashlib.sha256(os.urandom(8)).digest() for _ in range(10_000)]
                    for _ in client.seal_many(digests):
                        pass
                    calls[0] += 1

        thread = threading.Thread(target=seal)
        thread.start()
        time.sleep(0.5)
        yield calls
        stop.set()
        thread.join()

    def seals(self) -> None:
        body = self.body("seal", msgspec.json.encode({"digest": hashlib.sha256(b"letter").hexdigest()}))
        bare = self.bare_loop()
        found = self.unix("/v1/seals", body, "application/json", CONNECTIONS)
        say("seals", found["rate"], "1/s", found["rate"] / bare, p99_us=found["p99_us"])

    def letters(self) -> None:
        """In turn, round by round: what else the machine does falls upon all three alike."""
        seal = {"digest": hashlib.sha256(b"letter").hexdigest()}
        letter = {"kind": "bid-bond", "fields": FIELDS | {"tender_code": "T-@@@@@@@@@@@@"}}
        asked = {
            "seals": ("/v1/seals", self.body("seal", msgspec.json.encode(seal))),
            "seals-b-t": ("/v1/seals", self.body("seal-b-t", msgspec.json.encode(seal | {"level": "B-T"}))),
            "letters": ("/v1/letters", self.body("letter", msgspec.json.encode(letter))),
        }
        rounds = [
            {what: self.costed(path, body, "application/json") for what, (path, body) in asked.items()}
            for _ in range(LETTER_ROUNDS)
        ]
        ratios = {
            beside: sorted(one["letters"]["rate"] / one[beside]["rate"] for one in rounds)
            for beside in ("seals", "seals-b-t")
        }
        stamped = statistics.median(one["seals-b-t"]["rate"] for one in rounds)
        say("seals-b-t", stamped, "1/s", stamped / self.bare_loop())
        say(
            "letters",
            statistics.median(one["letters"]["rate"] for one in rounds),
            "1/s",
            statistics.median(ratios["seals"]),
            to_b_t=round(statistics.median(ratios["seals-b-t"]), 3),
            to_b_t_rounds=[round(one, 2) for one in ratios["seals-b-t"]],
            p99_us=statistics.median(one["letters"]["p99_us"] for one in rounds),
        )
        for what in ("seals-b-t", "letters"):
            costs = [one[what] for one in rounds]
            of_each = {name: round(statistics.median(one[name] for one in costs), 1) for name in self.box.processes()}
            say(f"{what}-processor", statistics.median(one["all"] for one in costs), "us", **of_each)

    def seals_bulk(self) -> None:
        bare = self.bare_loop()
        digests = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(10_000)]
        start = time.perf_counter()
        with self.client() as client:
            calls = [client.start_seals(digests) for _ in range(3)]
            for call in calls:
                while client.job(call.job, first=9_999, count=1, wait_s=30).done < 10_000:
                    pass
        rate = 30_000 / (time.perf_counter() - start)
        say("seals-bulk", rate, "1/s", rate / bare)

    def stamps_bulk(self) -> None:
        bare = self.bare_loop()
        digests = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(10_000)]
        packed = self.body("bulk", b"".join(digests))
        found = self.unix("/v1/stamps/bulk", packed, MEDIA_DIGESTS, 4, Accept=MEDIA_BATCH)
        rate = found["rate"] * 10_000
        say("stamps-bulk-compact", rate, "digests/s", rate / bare)
        asked = self.body("bulk-json", msgspec.json.encode({"digests": [digest.hex() for digest in digests]}))
        found = self.unix("/v1/stamps/bulk", asked, "application/json", 4)
        rate = found["rate"] * 10_000
        say("stamps-bulk-json", rate, "digests/s", rate / bare)

    def memory(self) -> None:
        workers = [pid for name, pid in self.box.processes().items() if name.startswith("api-")]
        say("worker-memory", max(_resident_mib(pid) for pid in workers), "MiB")


def _sum(found: list[dict[str, float]]) -> dict[str, float]:
    assert all(one["errors"] == 0 for one in found), found
    return {
        "rate": sum(one["rate"] for one in found),
        "missed": sum(one["missed"] for one in found),
        "p50_us": max(one["p50_us"] for one in found),
        "p99_us": max(one["p99_us"] for one in found),
    }


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


SLOW_TOKENS = ((16, 5), (32, 5), (32, 20))
"""Lanes, and milliseconds that each C_Sign takes longer."""


def slow_token(directory: Path, load: Path, seconds: float) -> None:
    """Stamps with every C_Sign delayed, as a network HSM delays them, on thread lanes; both workers."""
    place = directory / "forwarder"
    place.mkdir()
    forwarder = Forwarder(build(directory), SOFTHSM_MODULE, place)
    for path in place.iterdir():
        path.chmod(0o666 if path.suffix == ".control" else 0o755)
    box = RunningBox(directory / "slow-box")
    box.provision()
    for lanes, delay_ms in SLOW_TOKENS:
        forwarder.delay(0)
        settings = read_settings(box.home.settings)
        tokens = [
            msgspec.structs.replace(
                token,
                lanes=LaneSettings(mode="threads", count=lanes // settings.workers),
                uri=token.uri.replace(SOFTHSM_MODULE, forwarder.module),
            )
            if token.name == "demo"
            else token
            for token in settings.tokens
        ]
        write_settings(box.home.settings, msgspec.structs.replace(settings, tokens=tokens))
        box.start()
        bench = Bench(box, load, seconds)
        query = bench.body("query", QUERY)
        forwarder.delay(delay_ms)
        found = bench.unix("/tsa/demo-tsu", query, "application/timestamp-query", lanes * 4)
        box.stop()
        measure = f"stamps-lanes-{delay_ms}ms"
        say(measure, found["rate"], "1/s", found["rate"] / (lanes / delay_ms * 1000), lanes=lanes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each load")
    parser.add_argument("measures", nargs="*", help="only these")
    arguments = parser.parse_args()

    def wanted(measure: str) -> bool:
        return not arguments.measures or measure in arguments.measures

    directory = Path(tempfile.mkdtemp(prefix="cinnabar-bench-"))
    directory.chmod(0o755)
    try:
        program = directory / "load"
        source = Path(__file__).with_name("load.c")
        subprocess.run(("gcc", "-O2", "-o", str(program), str(source), "-lssl", "-lcrypto"), check=True)
        box = RunningBox(directory / "box", "demo", "other")
        box.provision()
        for tenant in box.tenants:
            install(box.home, tenant)
        box.start()
        bench = Bench(box, program, arguments.seconds)
        if any(wanted(name) for name in ("stamps-unix", "stamps-tls", "stamp-p99", "stamp-p99-bulk")):
            bench.stamps(wanted)
        if wanted("stamp-p99-verify"):
            bench.stamps_beside_verify()
        if wanted("stamp-p99-large"):
            bench.stamps_beside_large()
        if wanted("stamp-p99-rendering"):
            bench.stamps_beside_rendering()
        if wanted("seals"):
            bench.seals()
        if wanted("letters"):
            bench.letters()
        if wanted("seals-bulk"):
            bench.seals_bulk()
        if wanted("stamps-bulk-compact"):
            bench.stamps_bulk()
        if wanted("worker-memory"):
            bench.memory()
        status = box.stop()
        assert status == 0, box.said()
        if wanted("stamps-lanes-5ms"):
            slow_token(directory, program, arguments.seconds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
