"""The filer: the process that speaks to authorities. It has neither PIN nor token nor database, and asks nobody what a
receipt is: it is given what to send and to whom, and gives back what came, within bounds (docs/filing.md).
"""

from appliance.filer.client import run_errand
from appliance.filer.messages import Answer, Errand

__all__ = ["Answer", "Errand", "run_errand"]
