"""The single writer. Workers submit through `RecorderClient`; `python -m appliance.recorder` runs the process."""

from appliance.recorder.client import RecorderClient
from appliance.recorder.counts import CallCounter, new_run_id

__all__ = ["CallCounter", "RecorderClient", "new_run_id"]
