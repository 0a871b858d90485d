"""The database moves forward from version to version, or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.store import keys, letters, records, schema


def test_a_new_database_has_the_newest_version(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path / "records")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert (tmp_path / "records").stat().st_mode & 0o777 == 0o700
    connection.close()


def test_migrations_go_forward_and_keep_what_is_there(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    connection.execute("INSERT INTO tenants (name, state) VALUES ('acme', 'active')")
    later = (*schema.MIGRATIONS, ("ALTER TABLE tenants ADD COLUMN note TEXT", "CREATE TABLE later (number INTEGER)"))
    assert schema.migrate(connection, later) == len(schema.MIGRATIONS)
    assert schema.migrate(connection, later) == len(later)
    assert connection.execute("SELECT name, note FROM tenants").fetchall() == [("acme", None)]
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(connection, (*schema.MIGRATIONS, ("CREATE TABLE later (number INTEGER)", "NONSENSE")))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'later'").fetchone() == (0,)
    connection.close()


def test_a_database_without_letters_gets_them_and_keeps_its_records(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)
    assert schema.migrate(old, schema.MIGRATIONS[:2]) == 0
    old.execute("INSERT INTO tenants (number, name, state) VALUES (7, 'acme', 'active')")
    records.add_segment(old, 1, 0, 1)
    row = (1, 7, 0, b"i" * 22, 1, "seal", "key", 1, b"c" * 32, b"body")
    records.insert_rows(old, 1, [row])
    records.insert_leaves(old, [(7 << 40, 1, 1, b"c" * 32)])
    old.close()
    connection = schema.open_writer(tmp_path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert records.read_rows(connection, records.segments(connection), 7, 0, 2) == [records.Row(*row)]
    assert letters.last_number(connection) == 0
    assert letters.find_letter(connection, 7, b"l" * 16) is None
    connection.close()


def test_a_database_of_a_later_program_is_refused(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(schema.StoreTooNew):
        schema.open_writer(tmp_path)


def test_readers_cannot_write(tmp_path: Path) -> None:
    schema.open_writer(tmp_path).close()
    reader = schema.open_reader(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("INSERT INTO marks VALUES ('tsu', 1)")
    reader.close()


@given(counts=st.lists(st.integers(1, 5), max_size=10), first=st.integers(0, 60), limit=st.integers(0, 60))
def test_leaves_read_back_as_any_slice(counts: list[int], first: int, limit: int) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    expected = b""
    for tenant in (6, 7, 8):
        leaf = 0
        for count in counts:
            packed = b"".join(bytes([tenant, leaf + n]) * 16 for n in range(count))
            records.insert_leaves(connection, [((tenant << 40) + leaf, count, 1 + leaf, packed)])
            leaf += count
            if tenant == 7:
                expected += packed
    assert records.tree_size(connection, 7) == len(expected) // 32
    assert records.tree_size(connection, 9) == 0
    assert records.read_commitments(connection, 7, first, limit) == expected[first * 32 : (first + limit) * 32]
    connection.close()


def test_an_hour_of_keys_is_forgotten_in_steps() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection)
    keys.add_hour(connection, 5)
    rows = [keys.KeyRow(n.to_bytes(16, "big"), 1, b"", 1, n, 1, None) for n in range(25)]
    keys.insert_keys(connection, 5, rows)
    assert keys.find_key(connection, 5, rows[3].key, 1) == rows[3]
    assert keys.find_key(connection, 5, rows[3].key, 2) is None
    assert [keys.forget_some(connection, 5, 10) for _ in range(3)] == [False, False, True]
    assert keys.hours(connection) == set()
    connection.close()
