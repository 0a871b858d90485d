"""`python -m mgmt_service --home DIR`: the management service's process."""

from __future__ import annotations

import argparse
from pathlib import Path

from appliance.box.home import Home
from mgmt_service.process import run

parser = argparse.ArgumentParser(prog="mgmt_service")
parser.add_argument("--home", type=Path, required=True)
run(Home(parser.parse_args().home.resolve()))
