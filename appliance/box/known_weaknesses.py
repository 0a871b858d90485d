"""Every weakness that a box can tell of itself: its label, what it means, and what it goes by. docs/operations.md has
the table made from this."""

from __future__ import annotations

import enum


class KnownWeakness(enum.Enum):
    """(label, what it means, what it goes by)"""

    REHEARSAL = ("rehearsal", "what the box signs is for rehearsal", "never")
    CLOCK_UNVERIFIED = ("clock-unverified", "nobody vouches for the times", "[showing the clock](#the-clock)")
    USERS_SHARED = (
        "users-shared",
        "one user opens all tokens, or the audit process, the filer, the cosigner or the anchorer has none of its own",
        "an HSM other than SoftHSM; `users.audit`, `users.filer`, `users.cosigner`, `users.anchorer`",
    )
    USERS_NOT_SEPARATE = (
        "users-not-separate",
        "one user runs everything",
        "root, `users`, a home that they can reach",
    )
    WEAK_KEYS_ALLOWED = (
        "weak-keys-allowed",
        "the settings let tokens use keys that can do more than sign, or could be read out",
        "`allow_weak_keys` off, the keys made anew",
    )
    WEAK_KEY = ("weak-key", "such a key is used: told to its tenant, by name", "making it anew")
    EXPORTS_IN_HOME = (
        "exports-in-home",
        "who rolls the disk back rolls the exported checkpoints back (FORK)",
        "`checkpoint_exports` elsewhere",
    )
    PINS_ON_DISK = (
        "pins-on-disk",
        "PINs stand on the disk in clear: who takes the disk has them",
        "`cinnabar pins`, see [unattended-start.md](unattended-start.md)",
    )
    SO_PINS_ON_BOX = ("so-pins-on-box", "security officers' PINs lie in `secrets`", "taking them off the box")
    FEW_OPEN_FILES = (
        "few-open-files",
        "the front may have fewer files open than it wants, and so fewer connections: who opens many shuts others out",
        "starting as root, or a higher `LimitNOFILE`, see [open files](#listeners)",
    )
    DOCUMENTS_ON_NETWORK = (
        "documents-on-network",
        "document workers could not leave the box's network",
        "starting as root, outside a container that forbids it",
    )
    DOCUMENTS_UNCONFINED = (
        "documents-unconfined",
        "document workers are not held to the system calls, or the files, that they need",
        "a kernel with seccomp and landlock, see [documents.md](documents.md)",
    )

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def means(self) -> str:
        return self.value[1]

    @property
    def goes_by(self) -> str:
        return self.value[2]
