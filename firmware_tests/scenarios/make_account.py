"""Makes the account of a chain in a box's token: `python -m firmware_tests.scenarios.make_account HOME LABEL`.

A process of its own, for the token's module reads its configuration when it is loaded.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hsm
from appliance.box.home import Home
from appliance.box.settings import read_settings
from hsm.keys import generate_key_pair


def main(root: str, label: str) -> None:
    home = Home(Path(root))
    settings = read_settings(home.settings)
    os.environ.update({name: value.replace("{home}", root) for name, value in settings.environment.items()})
    token = next(one for one in settings.tokens if one.name == "box")
    opened = hsm.open_token(hsm.Pkcs11Uri.parse(token.uri), hsm.PinFile(home.root / token.pin_file), hsm.LaneSettings())
    generate_key_pair(opened, label, "ecdsa-secp256k1-sha256")
    opened.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
