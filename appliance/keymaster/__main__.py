"""The keymaster's process: `python -m appliance.keymaster --home DIR`."""

from appliance.keymaster.process import main

main()
