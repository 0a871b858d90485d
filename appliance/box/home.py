"""Where everything of a box stands under its home (CINNABAR_HOME, default ./var)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The layout of a home. Only paths; nothing here touches the disk."""

    root: Path

    @property
    def settings(self) -> Path:
        """The box's settings, see appliance.box.settings."""
        return self.root / "box.json"

    @property
    def trust(self) -> Path:
        """What outside tools need: CA certificates, CRLs, log verifier keys, the trust bundle."""
        return self.root / "trust"

    @property
    def clients(self) -> Path:
        """Credentials of the applications that provisioning made: NAME.crt, NAME.key."""
        return self.root / "clients"

    @property
    def tokens(self) -> Path:
        """SoftHSM's configuration and token files."""
        return self.root / "tokens"

    @property
    def secrets(self) -> Path:
        """PIN files, one a token: NAME.pin (user) and NAME.so-pin; 0600 in a directory
        that only root can list. Beside them the tenants' content keys, wrapped by their tokens."""
        return self.root / "secrets"

    @property
    def memory_pins(self) -> Path:
        """Leads to a directory in memory with the PINs that the disk has under lock only."""
        return self.run / "pins"

    @property
    def key_backups(self) -> Path:
        """Backups of keys, wrapped: to be carried away from the box, and looked for here by a restore."""
        return self.exports / "key-backups"

    @property
    def records(self) -> Path:
        """The recorder's database and sealed segments; only the recorder opens them."""
        return self.root / "records"

    @property
    def documents(self) -> Path:
        """The content-addressed store of documents, encrypted per tenant."""
        return self.root / "documents"

    @property
    def logs(self) -> Path:
        """Tiles and checkpoints, one directory a log, named by the SHA-256 of its origin in hex."""
        return self.root / "logs"

    @property
    def issued(self) -> Path:
        """Every certificate that the box's CAs issued, SHA256.pem; the keymaster makes CRLs from it."""
        return self.root / "certificates" / "issued"

    @property
    def exports(self) -> Path:
        """Signed checkpoints as last exported (control FORK); point it outside the box in production."""
        return self.root / "exports"

    @property
    def logs_compared(self) -> Path:
        """There once the follower has held the logs to what was exported and published, in this life of the box."""
        return self.run / "log" / "compared"

    @property
    def lock(self) -> Path:
        """JSON: cause to detail. While this file stands the box starts, and stays, locked (control QUORUM)."""
        return self.root / "LOCKED"

    @property
    def tamper_latch(self) -> Path:
        """JSON: what the tamper signal was and when. While this file stands the box is tampered (control TAMPER)."""
        return self.root / "TAMPERED"

    @property
    def supervisor_socket(self) -> Path:
        """Where the keymaster has the supervisor adopt settings, lock, unlock and stop the box."""
        return self.run / "supervisor" / "control.sock"

    @property
    def history_lock(self) -> Path:
        """While this file stands, the box starts locked: its history is not yet shown to be the only one (FORK).

        It stands with the logs, whose follower must be able to write it whatever user it runs under."""
        return self.logs / "HISTORY-UNPROVEN"

    @property
    def front(self) -> Path:
        """The TLS front: generated nginx.conf, server certificate and key."""
        return self.root / "front"

    @property
    def run(self) -> Path:
        """Sockets, shared pages and pid files of the running box."""
        return self.root / "run"

    @property
    def addresses(self) -> Path:
        """JSON: listener to HOST:PORT, as bound; there once the box is up."""
        return self.run / "addresses.json"

    @property
    def processes(self) -> Path:
        """JSON: name of each process of the running box to its pid."""
        return self.run / "processes.json"

    @property
    def recorder_socket(self) -> Path:
        """Where workers submit to the recorder."""
        return self.run / "recorder" / "submit.sock"

    @property
    def admin_socket(self) -> Path:
        """Where the administrator changes the register; root and the recorder's own user only."""
        return self.run / "recorder" / "admin.sock"

    @property
    def documents_socket(self) -> Path:
        """Where workers hand documents of others to the document workers."""
        return self.run / "documents" / "tasks.sock"

    @property
    def filer_socket(self) -> Path:
        """Where workers hand the filer what is to be sent to authorities."""
        return self.run / "filer" / "errands.sock"

    @property
    def anchors(self) -> Path:
        """The anchorer's own: its outbox, with every anchor and its receipt."""
        return self.root / "anchors"

    @property
    def anchorer_socket(self) -> Path:
        """Where the anchorer shows its anchors, and is asked for one."""
        return self.run / "anchorer" / "anchors.sock"

    @property
    def anchorer_word(self) -> Path:
        """JSON: how each ledger stands, for the metrics."""
        return self.run / "anchorer" / "word.json"

    @property
    def ledger_desk_socket(self) -> Path:
        """Where the log follower signs transactions for ledgers; the anchorer only."""
        return self.run / "log" / "ledger-desk.sock"

    @property
    def cosigned(self) -> Path:
        """Heads with their witnesses' cosignatures, one directory a log, named by the SHA-256 of its origin: the
        cosigner writes, workers read."""
        return self.root / "cosigned"

    @property
    def cosigner_socket(self) -> Path:
        """Where the supervisor sees that the cosigner is not hung."""
        return self.run / "cosigner" / "pulse.sock"

    @property
    def cosigner_word(self) -> Path:
        """JSON: how each log's cosigning stands, and what witnesses answer."""
        return self.run / "cosigner" / "word.json"

    @property
    def audit(self) -> Path:
        """The audit process's own: an index of the logs, made anew at will, and how far syslog was confirmed."""
        return self.root / "audit"

    @property
    def audit_exports(self) -> Path:
        """Audit exports as they were made; theirs to take away who asked for them."""
        return self.exports / "audit"

    @property
    def audit_socket(self) -> Path:
        """Where the audit process answers the management service and root."""
        return self.run / "audit" / "audit.sock"

    @property
    def audit_word(self) -> Path:
        """The audit process's word: how many log entries wait for the syslog receiver."""
        return self.run / "audit" / "word"

    @property
    def management(self) -> Path:
        """The management service's own: sign-in passkeys, sessions, readers; nothing that gives power over the box."""
        return self.root / "management"

    @property
    def management_socket(self) -> Path:
        """Where the management service answers its front."""
        return self.run / "management" / "http.sock"

    def worker_socket(self, number: int, listener: str) -> Path:
        """The socket of one API worker for one listener: applications, tsa, public, metrics."""
        return self.run / "api" / str(number) / f"{listener}.sock"

    @property
    def clock_page(self) -> Path:
        """The clock monitor's word, a shared page."""
        return self.run / "clock" / "word"

    @property
    def keymaster(self) -> Path:
        """The keymaster's private state: its journal, and what only it may read."""
        return self.root / "keymaster"

    @property
    def approved_updates(self) -> Path:
        """The updates that officers have approved, BUNDLE.json; the updater takes no other."""
        return self.keymaster / "approved-updates"

    @property
    def witness_policies(self) -> Path:
        """JSON: the witnesses of logs as ceremonies decided, which the trust bundle says."""
        return self.keymaster / "witness-policies.json"

    @property
    def log_renewals(self) -> Path:
        """JSON: under which hashes officers decided that logs go on; the trust bundle names no others."""
        return self.keymaster / "log-renewals.json"

    @property
    def algorithm_ends(self) -> Path:
        """JSON: until when algorithms may be relied on, as a ceremony decided, which the trust bundle says."""
        return self.keymaster / "algorithm-ends.json"

    @property
    def policies(self) -> Path:
        """Approval policies of tenants' letters, TENANT/NAME/VERSION.json: the keymaster writes, workers read."""
        return self.root / "policies"

    @property
    def seal_objects(self) -> Path:
        """Tenants' seal objects, TENANT/NAME/VERSION.json: the keymaster writes, workers read."""
        return self.root / "seal-objects"

    @property
    def adapters(self) -> Path:
        """Adapters of tenants' filings, TENANT/ID/VERSION.toml: the keymaster writes, workers read."""
        return self.root / "adapters"

    @property
    def partners(self) -> Path:
        """Profiles of tenants' partners, TENANT/PARTNER/VERSION.json: the keymaster writes, workers read."""
        return self.root / "partners"

    @property
    def kinds(self) -> Path:
        """Kinds of tenants' letters, TENANT/KIND/VERSION.toml: the keymaster writes, workers read."""
        return self.root / "kinds"

    @property
    def journal(self) -> Path:
        """The keymaster's database: proposals, statements, steps, candidates, constitutions, keys."""
        return self.keymaster / "keymaster.sqlite"

    @property
    def constitutions(self) -> Path:
        """The chain of constitutions with the statements that made each, N.json; public."""
        return self.trust / "constitution"

    @property
    def desk_socket(self) -> Path:
        """Where the management service hands proposals and statements to the keymaster."""
        return self.run / "keymaster" / "desk.sock"

    @property
    def approve_socket(self) -> Path:
        """Where nginx reaches the keymaster's pages for approvals."""
        return self.run / "keymaster" / "approve.sock"

    @property
    def console_socket(self) -> Path:
        """The box's console; root and the keymaster's own user only."""
        return self.run / "keymaster" / "console.sock"

    @property
    def enrol_socket(self) -> Path:
        """Where API workers hand the keymaster requests for certificates (EST); they reach nothing else of it."""
        return self.run / "keymaster" / "enrol.sock"

    @property
    def ocsp(self) -> Path:
        """OCSP answers, AUTHORITY/SERIAL-HASH.der, signed in advance: the keymaster writes, workers serve."""
        return self.root / "ocsp"

    @property
    def keymaster_word(self) -> Path:
        """JSON: how the keymaster's last rounds went, for the metrics."""
        return self.run / "keymaster" / "word.json"

    @property
    def marks(self) -> Path:
        """High-water marks of the time-stamping units, one shared page a unit."""
        return self.run / "marks"

    @property
    def state_page(self) -> Path:
        """The box's state, a shared page written by the supervisor."""
        return self.run / "state"

    @property
    def counters(self) -> Path:
        """C_Sign counters, one shared page a process life (control RECORD)."""
        return self.run / "counters"
