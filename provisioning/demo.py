"""`make demo`: the box's main job on real input, end to end, by the commands that a user types.

Provisions a rehearsal box, runs it, seals and stamps a letter (a bid bond as JSON and PDF), stamps a batch, stops the
box, and verifies everything offline, by our verifier and by OpenSSL. What was made stays under the given home. The last
lines are the management address and a one-time link: the box is stopped, so that the demonstration ends by itself, and
the link works as soon as the box runs again.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from appliance.box.cli import BADLY
from appliance.box.home import Home
from provisioning.demo_letters import LetterDemo
from provisioning.demo_outside import ACCOUNT, Outside

START_SECONDS = 60.0
STOP_SECONDS = 60.0
"""A box gives each stage of its parts fifteen."""
BATCH = 1_000
EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
KIND = EXAMPLES / "veiled-bid-bond.toml"

RUNNING = (
    "front, two workers (api), recorder, log, clock, keymaster, documents (reads and sets files that others made) and "
    "audit, each its own process; cosigner and anchorer, the two that speak to parties outside; the officers' pages "
    "(management) come last"
)

console = Console(highlight=False, soft_wrap=True)


class DemoFailed(Exception):
    """A step did not do what it shows."""


class Demo:
    """One demonstration in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "box")
        self.letters = root / "letters"
        self.living = root / "living"
        self.program = str(Path(sys.executable).parent / "cinnabar")
        self._titles = 0

    def run(self) -> None:
        self._fresh()
        outside = Outside(self.root, self.home, self.program, self._shown, self._cinnabar)
        try:
            self._run_all(outside)
        finally:
            outside.stop()

    def _run_all(self, outside: Outside) -> None:
        self._title("Three witnesses", "other institutions, who cosign a log's heads only while the log merely grows")
        witnesses = outside.make_witnesses()
        self._title("A rehearsal box", "tokens, keys, CAs, logs and one application, made on SoftHSM")
        outside_of_it = (*witnesses, "--witness-quorum", "3", "--account", ACCOUNT)
        self._cinnabar("provision", "--home", self._shown(self.home.root), *outside_of_it)
        outside.start_witnesses()
        self._title(
            "Two chains that the box does not run",
            "one with three signers, whose seals prove (Clique), and one that seals nothing (anvil); somebody deploys "
            "the contract and funds the box's account, whose key stays in its token",
        )
        outside.start_chains()
        console.print(
            f"Named in {self._shown(self.home.settings)} under [bold]ledgers[/]; what verifiers trust of them stands "
            f"in {self._shown(self.home.root / 'ledgers')}/. docs/anchors.md connects yours.\n"
        )
        living = LetterDemo(self.home, self.living, KIND, self._shown, self._cinnabar, self._refused, self._title)
        living.install()
        living.name()
        self._title("The box runs", RUNNING)
        box = self.start()
        try:
            self._use()
            living.show()
            self._title(
                "On the ledgers", "one transaction with 32 bytes commits to every record of every tenant of the box"
            )
            outside.anchor(list(living.kept.values()))
            living.keep_evidence()
        except BaseException:
            box.send_signal(signal.SIGINT)
            raise
        self.stop(box)
        outside.stop()
        console.print("The box, the witnesses and the chains are stopped now. Everything below works without them.")
        self._verify()
        self._summary()
        self._officers()

    def _fresh(self) -> None:
        marker = self.root / ".cinnabar-demo"
        if self.root.exists():
            if not marker.exists() and any(self.root.iterdir()):
                raise DemoFailed(f"{self.root} is not a demonstration's directory; it is left alone")
            console.print(f"Replacing the demonstration that stands in {self._shown(self.root)}.")
            shutil.rmtree(self.root)
        self.letters.mkdir(parents=True)
        self.living.mkdir()
        marker.touch()
        for name in ("bid-bond.json", "bid-bond.pdf"):
            shutil.copy(EXAMPLES / name, self.letters)

    def start(self) -> subprocess.Popen[bytes]:
        """Run the box beside us, and wait until it answers. Raises DemoFailed."""
        command = (self.program, "run", "--home", str(self.home.root), "--api", "127.0.0.1:0", "--management", "off")
        console.print(f"[bold]$[/] cinnabar run --home {self._shown(self.home.root)} --api 127.0.0.1:0 &")
        with (self.root / "box.log").open("wb") as output:
            box = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS
        while not self.home.addresses.exists():
            if box.poll() is not None or time.monotonic() > deadline:
                box.kill()
                raise DemoFailed(f"the box did not come up; see {self.root / 'box.log'}")
            time.sleep(0.05)
        address = json.loads(self.home.addresses.read_text())["applications"]
        console.print(f"It answers on https://{address} to applications with a certificate of its CA.\n")
        return box

    def stop(self, box: subprocess.Popen[bytes]) -> None:
        """Stop the box. Raises DemoFailed, which names the part, unless every part of it stopped cleanly."""
        box.send_signal(signal.SIGINT)
        log = self.root / "box.log"
        try:
            status = box.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            box.kill()
            raise DemoFailed(f"the box did not stop within {STOP_SECONDS:.0f} s; see {log}") from None
        if status != 0:
            said = [line for line in log.read_text(errors="replace").splitlines() if line.startswith(BADLY)]
            raise DemoFailed(f"{said[-1] if said else f'the box ended with status {status}'} ({log})")

    def _use(self) -> None:
        home = ("--home", self._shown(self.home.root))
        letters = [self._shown(self.letters / name) for name in ("bid-bond.json", "bid-bond.pdf")]
        self._title(
            "Sealed letters", "the tenant's seal key signs in the HSM; each seal carries a time-stamp (CAdES B-T)"
        )
        self._cinnabar("seal", *home, *letters)
        self._title("A time-stamp", "RFC 3161, from the tenant's time-stamping unit")
        self._cinnabar("stamp", *home, letters[1])
        self._title(f"{BATCH:,} files at once", "one token over a hash tree; an RFC 4998 evidence record for each file")
        batch = self.root / "batch"
        batch.mkdir()
        for number in range(BATCH):
            (batch / f"voucher-{number:04}.json").write_text(f'{{"voucher":"RH-{number:04}","amount":"100.00"}}\n')
        names = sorted(
            str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path) for path in batch.iterdir()
        )
        self._cinnabar("bulk-stamp", *home, *names, shown=f"bulk-stamp --home {home[1]} {self._shown(batch)}/*.json")

    def _verify(self) -> None:
        trust = self._shown(self.home.trust)
        # A new box is a new constitution: what other demonstrations kept must not be asked here.
        state = ("--state", self._shown(self.root / "verifier"))
        kept = " ".join(state)
        letters = self._shown(self.letters)
        self._title("Verified offline", "from the files and the trust directory alone")
        every = sorted(str(path) for path in self.letters.iterdir())
        letter = [name for name in every if "/bid-bond.json" in name]
        self._cinnabar(
            "verify", "--trust", trust, *state, *letter, shown=f"verify --trust {trust} {kept} {letters}/*.json*"
        )
        self._cinnabar(
            "verify",
            "--brief",
            "--trust",
            trust,
            *state,
            *every,
            shown=f"verify --brief --trust {trust} {kept} {letters}/*",
        )
        one = self._shown(self.root / "batch" / f"voucher-{BATCH // 2:04}.json")
        self._cinnabar(
            "verify",
            "--trust",
            trust,
            *state,
            one,
            f"{one}.ers",
            shown=f"verify --trust {trust} {kept} {one} {one}.ers",
        )
        self._cinnabar(
            "verify", "--trust", trust, *state,
            *(self._shown(self.living / name) for name in ("bond.asice", "voucher-part.asice")),
        )  # fmt: skip
        self._title("Verified by a tool that is not ours", "OpenSSL knows nothing of Cinnabar")
        for name in ("bid-bond.json", "bid-bond.pdf"):
            self._tool(
                "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any",
                "-in", f"{letters}/{name}.p7s", "-content", f"{letters}/{name}",
                "-CAfile", f"{trust}/seal-ca.pem", "-out", "/dev/null",
            )  # fmt: skip
        self._tool(
            "openssl", "ts", "-verify", "-token_in", "-in", f"{letters}/bid-bond.pdf.tst",
            "-data", f"{letters}/bid-bond.pdf", "-CAfile", f"{trust}/tsa-ca.pem",
        )  # fmt: skip
        self._title("The log, derived anew", "every tile and root from the entries, every checkpoint's signature")
        self._cinnabar("log", "check", "--home", self._shown(self.home.root))

    def _summary(self) -> None:
        table = Table(show_header=True, header_style="bold", box=None, pad_edge=False)
        table.add_column("File")
        table.add_column("What it proves")
        letters = self._shown(self.letters)
        rows = (
            ("bid-bond.json.p7s, .pdf.p7s", "The institution sealed exactly this document; a stamp says when."),
            (
                "bid-bond.pdf.tst",
                "The document existed at that time, by the box's own clock (a rehearsal clock: no accuracy).",
            ),
            ("*.record.json", "The signature is on record, and the record's commitment is in the tenant's signed log."),
            (
                "living/*.asice",
                "A letter with all its events, each sealed, stamped, on record and in the signed log: one file.",
            ),
            (
                "living/*.pdf",
                "Its page as it was sealed with an event (PDF/A-3, the event inside); its QR leads to the box's public "
                "listener, which checks the letter once it runs with --public 127.0.0.1:8445.",
            ),
            ("batch/*.ers", "Each of the thousand files existed at that time, though one signature was made."),
            ("box/trust/", "All that an outsider needs to check the above: CAs, CRLs, log keys, signed as one bundle."),
        )
        others = (
            (
                "letters/bid-bond.json, .pdf",
                "The documents themselves, as they were; keep them with what speaks of them.",
            ),
            ("batch/*.json", "The thousand files, likewise."),
            ("living/*.json, .envelope, .txt", "What the letters were made from; bid-code.txt is the bidder's SECRET."),
            ("box/", "The box's home: its records, logs, keys and settings. To run it again needs all of it."),
            (
                "box/clients/demo-app.key",
                "SECRET: the application's own key. Who has it and demo-app.crt seals and stamps as that application.",
            ),
            ("box/secrets/", "SECRET: the PINs of the box's tokens."),
            (
                "verifier/",
                "What the verifier remembers: whose trust bundle it believed, and the newest it saw, so that an older "
                "one, or another's, is refused.",
            ),
            (
                "witnesses/",
                "Three witnesses: settings, key (SECRET, each its own institution's) and what each has seen.",
            ),
            (
                "chain/",
                "The chains' settings with their signers' keys, of this demonstration alone; the blocks are gone.",
            ),
            ("box.log", "What the box's processes said of this run."),
        )
        for name, meaning in rows:
            table.add_row(f"[bold]{name}[/]", meaning)
        table.add_section()
        table.add_row("[bold]Also there[/]", "[bold]What it is[/]")
        for name, meaning in others:
            table.add_row(f"[bold]{name}[/]", meaning)
        console.print(Panel(table, title=f"Made under {self._shown(self.root)} (letters in {letters})", expand=False))
        console.print(
            "Everything is a rehearsal and says so in its names, policies and origins: it has no legal effect."
        )
        console.print()

    def _officers(self) -> None:
        """Last, so that it stands at the bottom: where officers begin. The box need not run for the link to be made."""
        self._title("The officers' pages", "who makes keys from now on: officers, by ceremonies in a browser")
        box = self._shown(self.home.root)
        said = self._cinnabar("management", "invite", "--home", box, "ann", "Ann")
        origin = said.rpartition("https://")[2].partition("/enrol/")[0]
        console.print(
            f"Bring the box up with [bold]make run HOME_DIR={box}[/]; then the link works, on https://{origin},"
        )
        console.print(
            f"once the browser trusts {self._shown(self.home.trust)}/box-ca.pem. docs/ceremonies.md goes on here."
        )
        console.print(
            "The chains are gone for good and the witnesses are stopped: proofs of what is signed then stay "
            "INDETERMINATE until they run again, each by "
            f"[bold]cinnabar witness run --home {self._shown(self.root / 'witnesses')}/NAME[/]."
        )

    def _cinnabar(self, *arguments: str, shown: str | None = None) -> str:
        return self._run((self.program, *arguments), f"cinnabar {shown or ' '.join(arguments)}")

    def _refused(self, *arguments: str) -> str:
        """A command that the box is to refuse. Raises DemoFailed if it does not."""
        console.print(f"[bold]$[/] {escape('cinnabar ' + ' '.join(arguments))}")
        done = subprocess.run(
            (self.program, *arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        console.print(f"[yellow]{escape(done.stdout.strip())}[/]\n")
        if done.returncode == 0:
            raise DemoFailed(f"it was not refused: {' '.join(arguments)}")
        return done.stdout

    def _tool(self, *command: str) -> None:
        self._run(command, " ".join(command))

    def _run(self, command: tuple[str, ...], shown: str) -> str:
        console.print(f"[bold]$[/] {escape(shown)}")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        console.print(escape(done.stdout.strip()) + "\n")
        if done.returncode != 0:
            raise DemoFailed(f"exit status {done.returncode}: {shown}")
        return done.stdout

    def _title(self, title: str, what: str) -> None:
        self._titles += 1
        console.rule(f"[bold]{self._titles}  {title}[/]", align="left")
        console.print(f"[dim]{what[:1].upper()}{what[1:]}.[/]\n")

    @staticmethod
    def _shown(path: Path) -> str:
        """Relative to the working directory where that is shorter, as a person would type it."""
        here = Path.cwd()
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@click.command()
@click.option("--home", "root", type=click.Path(path_type=Path, file_okay=False), default=Path("var/demo"))
def main(root: Path) -> None:
    """Show the box's main job, end to end."""
    try:
        Demo(root.resolve()).run()
    except DemoFailed as error:
        console.print(f"[red]The demonstration stopped:[/] {escape(str(error))}")
        sys.exit(1)


if __name__ == "__main__":
    main()
