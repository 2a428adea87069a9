"""Errors as programs meet them: classes of PEP 249 alone, each with its SQLSTATE, and the place in what was executed."""

from __future__ import annotations

import itertools
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import lakesql

LAKE = str(Path(__file__).parents[2] / "catalog")

GOOD = (
    "SELECT impression_id , watch_ms FROM impressions WHERE day = DATE '2026-11-19' AND slot IN ( 1 , 2 ) ORDER BY 1 LIMIT 3",
    "SELECT slot , count ( * ) AS n , sum ( watch_ms ) FROM impressions GROUP BY slot HAVING count ( * ) > 10 ORDER BY n DESC LIMIT 5",
    "WITH a AS ( SELECT user_id , max ( ts ) AS last FROM impressions GROUP BY user_id ) SELECT last FROM a WHERE user_id < 9 LIMIT 1",
    "SELECT CASE WHEN liked THEN upper ( 'yes' ) ELSE CAST ( slot AS VARCHAR ) END FROM impressions VERSION AS OF 3 LIMIT 2",
    "SELECT i.slot FROM impressions i JOIN ( VALUES ( 1 , 'a' ) , ( 2 , 'b' ) ) AS v ( k , s ) ON i.slot = v.k WHERE length ( v.s ) = 1 LIMIT 1",
    "SELECT row_number ( ) OVER ( PARTITION BY slot ORDER BY ts ) AS r , device [ 'os' ] FROM impressions WHERE user_id BETWEEN 1 AND 5 LIMIT 4",
    "SELECT slot FROM impressions WHERE user_id = 1 UNION ALL SELECT k FROM ( VALUES ( 1 ) , ( 2 ) ) AS t ( k ) LIMIT 9",
    "DESCRIBE impressions",
    "SET lakesql.prune = on",
    "SHOW TABLES",
)
ODD_WORDS = (
    "nope",
    "slto",
    "'text'",
    "7",
    "1.5",
    ")",
    "(",
    ",",
    "FROM",
    "=",
    "NULL",
    "'",
    '"',
    "/*",
    "$$",
    "$1",
    "?",
    "::int",
    "upper",
    "INTERVAL '1 day'",
    "[",
    "x.y.z",
    "-",
    "\x00",
    "é",
)


def bad_statements() -> Iterator[str]:
    """Good statements with one or two of their words taken out, doubled, swapped or replaced: most are wrong."""
    chance = random.Random(20261125)
    while True:
        words = chance.choice(GOOD).split(" ")
        for _ in range(chance.choice((1, 1, 2))):
            i = chance.randrange(len(words))
            match chance.randrange(5):
                case 0:
                    del words[i : i + 1]
                case 1:
                    words.insert(i, words[i])
                case 2:
                    j = chance.randrange(len(words))
                    words[i], words[j] = words[j], words[i]
                case 3:
                    words[i] = chance.choice(ODD_WORDS)
                case _:
                    words.insert(i, chance.choice(ODD_WORDS))
            words = words or [""]
        yield " ".join(words)


@pytest.fixture(scope="module")
def connection() -> Iterator[lakesql.Connection]:
    with lakesql.connect(LAKE) as opened:
        yield opened


def fault_of(connection: lakesql.Connection, statement: str) -> lakesql.Error | None:
    """The error that a statement, or taking its first rows, raises; None where it is right after all. Anything else is let through."""
    try:
        with connection.execute(statement) as cursor:
            if cursor.description is not None:
                cursor.fetchmany(5)
    except lakesql.Error as error:
        return error
    return None


def test_500_bad_statements(connection: lakesql.Connection) -> None:
    """Whatever is wrong: an error that says what kind it is and, unless a value was at fault while rows were made, where in the statement."""
    faults = ((statement, fault_of(connection, statement)) for statement in bad_statements())
    for statement, error in itertools.islice(((s, e) for s, e in faults if e is not None), 500):
        assert not isinstance(error, lakesql.InternalError), statement
        assert len(error.sqlstate) == 5
        assert error.query == statement
        assert error.message
        assert error.position is not None or isinstance(error, lakesql.EngineError), (statement, error)
        assert error.position is None or 0 <= error.position <= len(statement)
    assert connection.execute("SELECT 42").fetchall() == [(42,)]


@pytest.mark.parametrize(
    ("statement", "sqlstate", "at"),
    [
        ("SELCT 1", "42601", "SELCT"),
        ("SELECT (1", "42601", "(1"),
        ("SELECT 1 FROM impressions\nWHERE slot = = 3", "42601", "= 3"),
        ("SELECT cuont(1)", "42883", "cuont"),
        ("SELECT 1, amt FROM impressions", "42703", "amt"),
        ("SELECT i.amt FROM impressions i", "42703", "amt"),
        ("SELECT device['nope'] FROM impressions", "42703", "'nope'"),
        ("SELECT * FROM impresions", "42P01", "impresions"),
        ("SELECT * FROM '/no/such'", "42P01", "'/no/such'"),
        ("SELECT 1 FROM impressions VERSION AS OF 999", "22023", "impressions"),
        ("SELECT 1 + 'a' = true", "42601", "+"),
        ("SELECT upper(1, 2, 3)", "42601", "upper"),
        ("SELECT sum(day) FROM impressions", "42601", "sum"),
        ("SELECT 1 UNION SELECT 1, 2", "42601", "UNION"),
        ("SELECT slot, user_id FROM impressions GROUP BY slot", "42601", "user_id"),
        ("SELECT max(max(slot)) FROM impressions", "42601", "max"),
        ("SELECT 1 FROM impressions WHERE sum(slot) > 1", "42601", "WHERE"),
        ("SELECT 1 FROM impressions LIMIT -1", "42601", "LIMIT"),
        ("SELECT 1 FROM impressions ORDER BY 7", "42601", "ORDER"),
        ("DESCRIBE impresions", "42P01", "impresions"),
        ("SET lakesql.prun = on", "F0000", "prun"),
        ("INSERT INTO impressions VALUES (1)", "0A000", "INSERT"),
        ("SELECT ?, ?", "07001", "?"),
    ],
)
def test_places(connection: lakesql.Connection, statement: str, sqlstate: str, at: str) -> None:
    for before in ("", "\n  /* first */ ", "SELECT '\n;';\n\n -- second\n"):
        with pytest.raises(lakesql.Error) as caught:
            connection.execute(before + statement)
        error = caught.value
        assert (error.sqlstate, error.query) == (sqlstate, before + statement)
        assert error.position is not None
        assert error.query[error.position :].startswith(at), error.query[error.position :]
        if isinstance(error, lakesql.SqlError):
            assert error.line == error.query[: error.position].count("\n") + 1


def test_candidates(connection: lakesql.Connection) -> None:
    with pytest.raises(lakesql.UnknownColumnError) as caught:
        connection.execute("SELECT watch FROM impressions")
    assert "watch_ms" in {name.rsplit(".", 1)[-1] for name in caught.value.candidates}
    assert caught.value.hint is not None
    with pytest.raises(lakesql.InterfaceError) as closed:
        closed_cursor(connection).fetchone()
    assert (closed.value.query, closed.value.position, closed.value.candidates) == (None, None, ())


def closed_cursor(connection: lakesql.Connection) -> lakesql.Cursor:
    cursor = connection.cursor()
    cursor.close()
    return cursor


def test_the_fault_of_a_view_is_in_the_views_text(tmp_path: Path) -> None:
    for name in ("t", "u"):
        write_deltalake(tmp_path / name, pa.table({"a": [1], "b": [2]}))
    with lakesql.connect(str(tmp_path)) as connection:
        connection.execute("CREATE VIEW v AS SELECT a, b FROM t")
        connection.execute("CREATE VIEW w AS SELECT a FROM u")
        write_deltalake(tmp_path / "t", pa.table({"c": [1]}), mode="overwrite", schema_mode="overwrite")
        shutil.rmtree(tmp_path / "u")
        for name, query, at in (("v", None, None), ("w", "CREATE VIEW w AS SELECT a FROM u", "u")):
            with pytest.raises(lakesql.Error) as caught:
                connection.execute(f"SELECT 1; SELECT * FROM {name}")
            assert caught.value.query == (query or f"SELECT 1; SELECT * FROM {name}")
            assert at is None or caught.value.query[caught.value.position :] == at


def test_errors_while_rows_are_taken_tell_their_statement(connection: lakesql.Connection) -> None:
    cursor = connection.execute("SELECT 1; SELECT 1 / (slot - slot) FROM impressions")
    cursor.nextset()
    with pytest.raises(lakesql.EngineError) as caught:
        cursor.fetchall()
    assert caught.value.query == "SELECT 1; SELECT 1 / (slot - slot) FROM impressions"
    assert caught.value.sqlstate[:2] == "22"


# Missing objects -----------------------------------------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_its_place(tmp_path: Path) -> None:
    place = tmp_path / "orders"
    write_deltalake(place, pa.table({"a": [1]}))
    (file,) = place.glob("*.parquet")
    file.unlink()
    with lakesql.connect(str(place)) as connection, pytest.raises(lakesql.MissingFileError) as caught:
        connection.execute("SELECT * FROM orders").fetchall()
    assert caught.value.path == str(file)
    assert str(file) in caught.value.message
    assert str(place) in caught.value.message


def test_a_missing_object_is_named_with_its_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = pytest.importorskip("boto3")
    moto_server = pytest.importorskip("moto.server")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    write_deltalake(tmp_path / "orders", pa.table({"a": [1]}))
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
        client.create_bucket(Bucket="lake")
        log = next((tmp_path / "orders" / "_delta_log").glob("*.json"))
        client.put_object(Bucket="lake", Key=f"orders/_delta_log/{log.name}", Body=log.read_bytes())
        (tmp_path / "lakesql.toml").write_text(
            f'[storage."s3://lake"]\nendpoint = "{endpoint}"\nregion = "us-east-1"\naccess_key_id = "k"\nsecret_access_key = "s"\n'
        )
        with lakesql.connect(tables={"orders": "s3://lake/orders"}, config=str(tmp_path / "lakesql.toml")) as connection:
            with pytest.raises(lakesql.MissingFileError) as caught:
                connection.execute("SELECT * FROM orders").fetchall()
            assert "s3://lake/orders" in caught.value.message
            assert caught.value.path.endswith(".parquet")
            assert caught.value.path in caught.value.message
            with pytest.raises(lakesql.NotATableError, match="s3://lake/nowhere"):
                connection.execute("SELECT * FROM 's3://lake/nowhere'")
    finally:
        server.stop()
