"""An institution's program of its own: for each line that it reads, one attempt to pledge the asset named there.

    python -m firmware_tests.letters.racer URL CERTIFICATE KEY CA

It answers each line with the letter that it began, or with the code and the text of what it was refused by.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.client import Client, Credentials
from appliance.client.errors import Refused


def pledge(asset: str) -> dict[str, object]:
    party = {"name": "天津钢管仓储有限公司", "id": "91440101MA5CXXXX1K"}
    return {
        "asset": asset, "pledgor": party, "pledgee": party, "place": "12",
        "devices": [{"device": "07", "certificate": "ab" * 32}],
    }  # fmt: skip


def main(url: str, certificate: str, key: str, authority: str) -> None:
    with Client(url, credentials=Credentials(Path(certificate), Path(key), Path(authority))) as client:
        client.letters()  # the connection stands before the first race
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                answer = f"won {client.begin_letter('pledged-asset', pledge(line.strip())).happened.letter}"
            except Refused as refused:
                answer = f"{refused.code} {refused.problem.detail}"
            print(answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
