"""Backup and restore of a whole box: one encrypted file, consistent while the box runs. docs/backup.md explains."""

from appliance.backup.archive import Made, Manifest, write_backup
from appliance.backup.errors import BackupFailed, BackupUnreadable, HomeNotEmpty, PassphraseUnusable
from appliance.backup.restoring import read_backup
from appliance.backup.stream import DecryptingReader, EncryptingWriter

__all__ = [
    "BackupFailed",
    "BackupUnreadable",
    "DecryptingReader",
    "EncryptingWriter",
    "HomeNotEmpty",
    "Made",
    "Manifest",
    "PassphraseUnusable",
    "read_backup",
    "write_backup",
]
