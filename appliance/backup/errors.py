"""Why a backup or a restore fails."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Conflict


class BackupUnreadable(BadRequest):
    """Not a backup, cut short, altered, or another passphrase."""

    code = "backup-unreadable"
    title = "The backup cannot be read"


class PassphraseUnusable(BadRequest):
    """The passphrase is too short, or its file can be read by others."""

    code = "passphrase-unusable"
    title = "The passphrase cannot be used"


class HomeNotEmpty(Conflict):
    """A restore makes a new home; it never writes into one that has something in it."""

    code = "home-not-empty"
    title = "The home to restore into is not empty"


class BackupFailed(CinnabarError):
    """Something in the home cannot be backed up. The message names it."""

    code = "backup-failed"
    title = "The backup could not be made"
