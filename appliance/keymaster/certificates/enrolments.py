"""What the journal keeps of unattended enrolment: profiles, authorisations, certificates issued. SQL only, no rules.

Times are microseconds since the epoch; digests are SHA-256.
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.keymaster.journal import Journal


class ProfileRow(NamedTuple):
    """`proposal` decided it as it is now."""

    name: str
    authority: str
    tenant: str
    use: str
    pattern: str
    days: int
    most: int
    until: int
    proposal: str


class AuthorisationRow(NamedTuple):
    """`secret`: digest of the one-time secret, None until it was shown; `key`: of the public key that used it."""

    id: str
    profile: str
    tenant: str
    application: str
    proposal: str
    made: int
    until: int
    secret: bytes | None
    used: int | None
    key: bytes | None


class EnrolmentRow(NamedTuple):
    """`predecessor`: digest of the certificate that this one renews; `certificate`: DER, None until it is on record."""

    number: int
    authorisation: str
    predecessor: bytes | None
    key: bytes
    digest: bytes | None
    certificate: bytes | None
    not_before: int
    not_after: int


class Enrolments:
    """Every change is one transaction, on disk when it returns."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    # Profiles

    def set_profile(self, row: ProfileRow) -> None:
        with self._journal.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO profiles VALUES (?,?,?,?,?,?,?,?,?)", row)

    def profile(self, name: str) -> ProfileRow | None:
        row = self._journal.connection.execute("SELECT * FROM profiles WHERE name = ?", (name,)).fetchone()
        return None if row is None else ProfileRow(*row)

    def profiles(self) -> list[ProfileRow]:
        return [ProfileRow(*row) for row in self._journal.connection.execute("SELECT * FROM profiles ORDER BY name")]

    # Authorisations

    def add_authorisation(self, row: AuthorisationRow) -> None:
        """One that is there already stays as it is."""
        with self._journal.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO authorisations VALUES (?,?,?,?,?,?,?,?,?,?)", row)

    def set_secret(self, authorisation: str, secret: bytes) -> None:
        """Of an authorisation that was not used: an earlier secret is worth nothing any more."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE authorisations SET secret = ? WHERE id = ? AND used IS NULL", (secret, authorisation)
            )

    def authorisation(self, identity: str) -> AuthorisationRow | None:
        row = self._journal.connection.execute("SELECT * FROM authorisations WHERE id = ?", (identity,)).fetchone()
        return None if row is None else AuthorisationRow(*row)

    def authorisations(self, profile: str) -> list[AuthorisationRow]:
        rows = self._journal.connection.execute(
            "SELECT * FROM authorisations WHERE profile = ? ORDER BY made, id", (profile,)
        )
        return [AuthorisationRow(*row) for row in rows]

    # Certificates

    def begin(
        self, authorisation: str, predecessor: bytes | None, key: bytes, not_before: int, not_after: int, now_us: int
    ) -> EnrolmentRow:
        """Take the authorisation, or the one renewal of the predecessor, for this key.

        Raises sqlite3.IntegrityError when the predecessor is renewed already."""
        with self._journal.transaction() as connection:
            if predecessor is None:
                connection.execute(
                    "UPDATE authorisations SET used = ?, key = ? WHERE id = ? AND used IS NULL",
                    (now_us, key, authorisation),
                )
            cursor = connection.execute(
                """INSERT INTO enrolments (authorisation, predecessor, key, not_before, not_after)
                   VALUES (?,?,?,?,?)""",
                (authorisation, predecessor, key, not_before, not_after),
            )
            return EnrolmentRow(
                int(cursor.lastrowid or 0), authorisation, predecessor, key, None, None, not_before, not_after
            )

    def issued(self, number: int, digest: bytes, certificate: bytes) -> None:
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE enrolments SET digest = ?, certificate = ? WHERE number = ? AND digest IS NULL",
                (digest, certificate, number),
            )

    def first_of(self, authorisation: str) -> EnrolmentRow | None:
        """What the one-time secret was used for."""
        return self._one("authorisation = ? AND predecessor IS NULL", authorisation)

    def by_digest(self, digest: bytes) -> EnrolmentRow | None:
        return self._one("digest = ?", digest)

    def renewal_of(self, digest: bytes) -> EnrolmentRow | None:
        return self._one("predecessor = ?", digest)

    def owners_of_key(self, key: bytes) -> set[tuple[str, str]]:
        """Tenant and application of every enrolment of a public key, by the SHA-256 of its SubjectPublicKeyInfo."""
        rows = self._journal.connection.execute(
            """SELECT DISTINCT a.tenant, a.application FROM enrolments e
               JOIN authorisations a ON a.id = e.authorisation WHERE e.key = ?""",
            (key,),
        )
        return {(str(tenant), str(application)) for tenant, application in rows}

    def owner_of(self, certificate: bytes) -> str | None:
        """The tenant that a certificate (SHA-256) was issued to by an enrolment; None where it was not."""
        row = self.by_digest(certificate)
        found = None if row is None else self.authorisation(row.authorisation)
        return None if found is None else found.tenant

    def of_application(self, tenant: str, application: str) -> list[EnrolmentRow]:
        return self._many("a.tenant = ? AND a.application = ?", tenant, application)

    def of_profile(self, profile: str) -> list[EnrolmentRow]:
        return self._many("a.profile = ?", profile)

    def _one(self, where: str, *values: object) -> EnrolmentRow | None:
        row = self._journal.connection.execute(f"SELECT * FROM enrolments WHERE {where}", values).fetchone()  # noqa: S608
        return None if row is None else EnrolmentRow(*row)

    def _many(self, where: str, *values: object) -> list[EnrolmentRow]:
        rows = self._journal.connection.execute(
            f"""SELECT e.* FROM enrolments e JOIN authorisations a ON a.id = e.authorisation
                WHERE {where} ORDER BY e.number""",  # noqa: S608 - fixed texts
            values,
        )
        return [EnrolmentRow(*row) for row in rows]
