"""How fast the hsm room signs, as ratios taken in one run. Prints one JSON line a measure.

python -m firmware_tests.bench.bench_hsm [--seconds S]

hsm-p256-inline     key.sign, one process, against a bare loop of python-pkcs11 on a copy of the same module
hsm-lanes-5ms ...   sign_async on thread lanes while every C_Sign takes longer, against lanes / delay
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pkcs11
import uvloop

from firmware_tests.bench.rate import rate
from hsm import LaneSettings, open_token
from hsm.keys import generate_key_pair
from hsm.testing.forwarder import Forwarder, build
from hsm.testing.softhsm import SoftHsm, ThrowawayToken
from hsm.uri import Pkcs11Uri

SCHEME = "ecdsa-p256-sha256"
MESSAGE = bytes(200)
ROUNDS = 12


def bare_call(token: ThrowawayToken, key: Pkcs11Uri, module: Path) -> Callable[[], object]:
    """One signature by python-pkcs11 as its documentation does it: digest outside, raw signature out."""
    found = pkcs11.lib(str(module)).get_token(token_label=token.uri.token)
    session = found.open(user_pin=token.user_pin)
    private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key.object)

    def call() -> object:
        return private.sign(hashlib.sha256(MESSAGE).digest(), mechanism=pkcs11.Mechanism.ECDSA)

    return call


def inline(softhsm: SoftHsm, directory: Path, seconds: float) -> dict[str, object]:
    """Short slices of both in turn, so that the machine's mood is the same for both; medians."""
    throwaway = softhsm.token()
    token = throwaway.open()
    uri = generate_key_pair(token, "bench", SCHEME)
    key = token.signing_key(uri, SCHEME)
    copy = directory / "copy.so"
    shutil.copy(softhsm.module, copy)
    bare = bare_call(throwaway, uri, copy)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(rate(lambda: key.sign(MESSAGE), seconds / ROUNDS / 2))
        theirs.append(rate(bare, seconds / ROUNDS / 2))
    token.close()
    value, base = statistics.median(ours), statistics.median(theirs)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return {
        "measure": "hsm-p256-inline",
        "value": round(value),
        "base": round(base),
        "ratio": round(ratio, 3),
        "at_least": 0.95,
    }


def delayed(softhsm: SoftHsm, forwarder: Forwarder, lanes: int, delay_ms: int, seconds: float) -> dict[str, object]:
    throwaway = softhsm.token(module=forwarder.module)
    forwarder.delay(0)
    token = open_token(throwaway.uri, throwaway.pin, LaneSettings("threads", lanes))
    key = token.signing_key(generate_key_pair(token, "bench", SCHEME), SCHEME)
    forwarder.delay(delay_ms)
    ideal = lanes * 1000 / delay_ms

    async def run() -> float:
        end = time.perf_counter() + seconds
        done = 0

        async def asker() -> None:
            nonlocal done
            while time.perf_counter() < end:
                await key.sign_async(MESSAGE)
                done += 1

        start = time.perf_counter()
        await asyncio.gather(*(asker() for _ in range(3 * lanes)))
        return done / (time.perf_counter() - start)

    value = uvloop.run(run())
    forwarder.delay(0)
    token.close()
    return {
        "measure": f"hsm-lanes-{lanes}-delay-{delay_ms}ms",
        "value": round(value),
        "base": round(ideal),
        "ratio": round(value / ideal, 3),
        "at_least": 0.8,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="time a measure takes")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        softhsm = SoftHsm(directory)
        os.environ["SOFTHSM2_CONF"] = str(softhsm.configuration)
        print(json.dumps(inline(softhsm, directory, seconds)), flush=True)
        (directory / "forwarder").mkdir()
        forwarder = Forwarder(build(directory), softhsm.module, directory / "forwarder")
        for lanes, delay_ms in ((8, 5), (32, 5), (32, 20), (64, 20)):
            print(json.dumps(delayed(softhsm, forwarder, lanes, delay_ms, seconds / 3)), flush=True)


if __name__ == "__main__":
    main()
