"""Whether a token is there: as this process's module tells it, and as one tells it that is started afresh.

SoftHSM lists the directories of tokens at C_Initialize only. A process in which another token of the module is open
cannot initialise it again, since C_Finalize ends that one's sessions too; so it never sees a token that came later.
What a fresh module sees, another process tells: `python -m hsm.presence URI` ends with 0 where a token answers.
"""

from __future__ import annotations

import subprocess
import sys

from hsm.errors import CryptokiError, HsmError
from hsm.modules import acquire, release
from hsm.site import matches
from hsm.uri import Pkcs11Uri

_PATIENCE_S = 20.0
_ABSENT = 3


def is_listed(uri: Pkcs11Uri) -> bool:
    """Whether this process's module tells of a token that answers to the URI; no login. Raises ModuleUnavailable."""
    module = acquire(uri.module_path)
    try:
        with module.calling():
            return any(matches(uri, info) for info in module.cryptoki.tokens())
    except CryptokiError:
        return False
    finally:
        release(module)


def is_listed_afresh(uri: str) -> bool:
    """The same of a module in a process of its own, which has this one's environment. Blocks for its start."""
    command = (sys.executable, "-P", "-m", "hsm.presence", uri)
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def main(uri: str) -> int:
    """0: a token answers to the URI; another status: none, or the module cannot be used."""
    try:
        return 0 if is_listed(Pkcs11Uri.parse(uri)) else _ABSENT
    except HsmError:
        return _ABSENT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
