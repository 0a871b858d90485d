"""The yardstick: one process that signs with python-pkcs11 in a loop, as its documentation does it. Prints calls/s.

python -m firmware_tests.bench.bare_loop TOKEN KEY PIN_FILE SECONDS      (SOFTHSM2_CONF in the environment)
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from pathlib import Path

import pkcs11

MODULE = "/usr/lib/softhsm/libsofthsm2.so"


def _open(label: str, pin: str) -> pkcs11.Session:
    # Two processes that load SoftHSM in the same instant can fail, so both keep trying.
    for _ in range(20):
        try:
            return pkcs11.lib(MODULE).get_token(token_label=label).open(user_pin=pin)
        except pkcs11.PKCS11Error:
            pkcs11.unload(MODULE)
            time.sleep(random.uniform(0.01, 0.1))
    raise SystemExit("the token cannot be opened")


def main() -> None:
    label, key_label, pin_file, seconds = sys.argv[1:]
    session = _open(label, Path(pin_file).read_text())
    key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key_label)
    message, done, start = bytes(200), 0, time.perf_counter()
    while time.perf_counter() - start < float(seconds):
        for _ in range(100):
            key.sign(hashlib.sha256(message).digest(), mechanism=pkcs11.Mechanism.ECDSA)
        done += 100
    print(done / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
