import argparse
from pathlib import Path

from appliance.audit.process import main
from appliance.box import journal

parser = argparse.ArgumentParser(prog="appliance.audit", description="Shows and exports what stands in the logs.")
parser.add_argument("--home", type=Path, required=True)
journal.configure("audit")
main(parser.parse_args().home.resolve())
