"""What makes this box weaker than it could be while it works as it is set up: told in its health, never hidden.

A weakness is no state: nothing is refused for it. Those of single keys are found by the workers that hold them
(appliance.api.health).
"""

from __future__ import annotations

from appliance.box.home import Home
from appliance.box.known_weaknesses import KnownWeakness as Known
from appliance.box.open_files import WANTED_FILES, allowed_files, connections_for
from appliance.box.settings import BoxSettings
from appliance.box.users import ProcessUsers


def weaknesses(home: Home, settings: BoxSettings, users: ProcessUsers) -> dict[str, str]:
    """Label to a short sentence without secrets or tenants' names. Read at the start of the box."""
    found: dict[Known, str] = {}
    if settings.rehearsal:
        found[Known.REHEARSAL] = "what this box signs is for rehearsal, now and for ever"
    if settings.clock.source == "system":
        found[Known.CLOCK_UNVERIFIED] = "times are the system clock's, which nobody vouches for (TIME)"
    if any(token.allow_weak_keys for token in settings.tokens):
        found[Known.WEAK_KEYS_ALLOWED] = "the settings let tokens use keys that are weaker than this box makes them"
    if (home.root / settings.checkpoint_exports).is_relative_to(home.root):
        found[Known.EXPORTS_IN_HOME] = (
            "exported checkpoints stand in the home and are lost, or rolled back, with it (FORK)"
        )
    if any(token.pin_source == "file" for token in settings.tokens):
        found[Known.PINS_ON_DISK] = "PINs stand on the disk in clear: who takes the disk has them (cinnabar pins)"
    if any(home.secrets.glob("*.so-pin")):
        found[Known.SO_PINS_ON_BOX] = "security officers' PINs stand in the home; no process needs them"
    if (files := allowed_files()) < WANTED_FILES:
        connections = 2 * connections_for(files)
        found[Known.FEW_OPEN_FILES] = (
            f"the front may have {files} files open, wants {WANTED_FILES}, and takes {connections} connections"
        )
    return dict(users.weaknesses) | {weakness.label: text for weakness, text in found.items()}
