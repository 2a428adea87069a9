"""Tables that pyiceberg's SQL catalog names, with its writer committing between two reads."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lakesql
from lakesql.catalogs import iceberg
from lakesql.config import parse
from lakesql.errors import CatalogError, ConfigError, NoSuchVersionError, SqlError, UnknownTableError

pytest.importorskip("pyiceberg")
pytest.importorskip("sqlalchemy")

pytestmark = pytest.mark.filterwarnings("ignore")  # pyiceberg's own


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Any]:
    """The writer's catalog, called `books`: namespaces `shop` with the table `Orders` of three rows, `eu.shop` with `carts`, and `empty`."""
    from pyiceberg.catalog.sql import SqlCatalog

    made = SqlCatalog("books", uri=f"sqlite:///{tmp_path}/books.db", warehouse=f"file://{tmp_path}/ware house")
    for namespace in ("shop", "eu", "eu.shop", "empty"):
        made.create_namespace(namespace)
    made.create_table("shop.Orders", schema=rows(3).schema).append(rows(3))
    made.create_table("eu.shop.carts", schema=rows(1).schema).append(rows(1))
    yield made
    made.close()


def rows(count: int, start: int = 0) -> pa.Table:
    return pa.table({"id": pa.array(range(start, start + count), pa.int64()), "name": pa.array([f"n{i}" for i in range(start, start + count)])})


def connected(tmp_path: Path, more: str = "", after: str = "") -> Any:
    text = f'[catalogs.prod]\ntype = "sql"\nuri = "sqlite:///books.db"\nname = "books"\n{more}\n{after}'
    return lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml")))


@pytest.fixture
def lake(books: Any, tmp_path: Path) -> Iterator[Any]:
    with connected(tmp_path) as connection:
        yield connection


def asked(lake: Any, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = lake.execute(sql).fetchall()
    return found


def test_commits_between_two_statements_are_seen(lake: Any, books: Any) -> None:
    table = books.load_table("shop.Orders")
    for total in (3, 5, 7):
        assert asked(lake, "SELECT count(*), max(id) FROM prod.shop.Orders") == [(total, total - 1)]
        table.append(rows(2, total))
    assert asked(lake, "SELECT count(*) FROM prod.shop.Orders.snapshots") == [(4,)]
    assert len(lake.session.catalogs._open) == 1, "states that were are let go"
    first = asked(lake, 'SELECT snapshot_id FROM "shop"."Orders$snapshots" ORDER BY committed_at LIMIT 1')[0][0]
    assert asked(lake, f"SELECT count(*) FROM prod.shop.Orders VERSION AS OF {first}") == [(3,)]


def test_one_statement_sees_one_state(lake: Any, books: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is committed between two mentions, however they are spelled."""
    table, loaded = books.load_table("shop.Orders"), iceberg.IcebergCatalog._loaded

    def load(self: Any, namespace: tuple[str, ...], name: str) -> Any:
        found = loaded(self, namespace, name)
        table.append(rows(1))
        return found

    monkeypatch.setattr(iceberg.IcebergCatalog, "_loaded", load)
    counts = "(SELECT count(*) FROM prod.shop.Orders) AS a, (SELECT count(*) FROM shop.orders) AS b, (SELECT count(*) FROM SHOP.ORDERS.snapshots) AS c"
    assert asked(lake, f"SELECT {counts}") == [(3, 3, 1)]
    assert len(table.snapshots()) >= 4


def test_branches_tags_and_old_schemas(lake: Any, books: Any) -> None:
    table = books.load_table("shop.Orders")
    first = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_branch(first, "audit").create_tag(first, "start").commit()
    with table.update_schema() as update:
        update.rename_column("name", "label")
    table.append(rows(1, 3).rename_columns(["id", "label"]))
    assert lake.execute("SELECT * FROM prod.shop.Orders.tag_start").description[1][0] == "name"
    assert lake.execute("SELECT * FROM prod.shop.Orders.branch_audit").description[1][0] == "label"
    assert [len(asked(lake, f"SELECT * FROM prod.shop.Orders{what}")) for what in (".branch_audit", ".branch_main", " VERSION AS OF 'start'")] == [3, 4, 3]
    with pytest.raises(NoSuchVersionError, match='"nope"'):
        asked(lake, "SELECT * FROM prod.shop.Orders.branch_nope")


@pytest.mark.parametrize("name", ["prod.shop.Orders", "shop.Orders", "SHOP.orders", "PROD.Shop.ORDERS", '"prod"."shop"."Orders"', "Orders", "orders"])
def test_names(lake: Any, name: str) -> None:
    assert asked(lake, f"SELECT count(*) FROM {name}") == [(3,)]


def test_namespaces_of_several_levels(lake: Any) -> None:
    for name in ("prod.eu.shop.carts", 'prod."eu.shop".carts', "eu.shop.carts", "prod.EU.SHOP.Carts", "carts"):
        assert asked(lake, f"SELECT count(*) FROM {name}") == [(1,)]
    assert len(asked(lake, "SELECT * FROM prod.eu.shop.carts.files")) == 1


def test_a_default_schema(books: Any, tmp_path: Path) -> None:
    with connected(tmp_path, 'schema = "eu.shop"') as lake:
        assert asked(lake, "SELECT count(*) FROM carts") == [(1,)]
        assert asked(lake, "SELECT count(*) FROM prod.carts") == [(1,)]


def test_what_there_is(lake: Any) -> None:
    assert asked(lake, "SHOW CATALOGS") == [("prod",)]
    assert asked(lake, "SHOW SCHEMAS") == [("prod", "empty"), ("prod", "eu"), ("prod", "eu.shop"), ("prod", "shop")]
    assert asked(lake, "SHOW TABLES") == [("prod", "eu.shop", "carts", "iceberg", None), ("prod", "shop", "Orders", "iceberg", None)]
    for within in ("shop", "prod.shop", "SHOP"):
        assert [r[2] for r in asked(lake, f"SHOW TABLES IN {within}")] == ["Orders"]
    assert asked(lake, "SHOW TABLES IN empty") == []
    assert [r[0] for r in asked(lake, "DESCRIBE prod.shop.Orders")] == ["id", "name"]
    assert len(asked(lake, "DESCRIBE HISTORY prod.shop.Orders")) == 1
    assert asked(lake, "SHOW COLUMNS FROM shop.Orders")[0][0] == "id"
    with pytest.raises(SqlError, match='no catalog or schema "shp"'):
        asked(lake, "SHOW TABLES IN shp")


def test_names_that_mean_nothing(lake: Any) -> None:
    with pytest.raises(UnknownTableError, match=r'there is no table "prod\.shop\.Order_"') as caught:
        asked(lake, "SELECT * FROM prod.shop.Order_")
    assert "Orders" in str(caught.value)
    with pytest.raises(UnknownTableError, match='catalog "prod" has no schema "shp"') as caught:
        asked(lake, "SELECT * FROM prod.shp.Orders")
    assert 'did you mean "shop"' in str(caught.value)
    for name in ("prod.shop.nope", "nope", "shop.nope", "prod.eu.nope.carts", "prod..Orders"):
        with pytest.raises(SqlError):
            asked(lake, f"SELECT * FROM {name}")


def test_names_that_differ_in_case_alone(lake: Any, books: Any) -> None:
    books.create_table("shop.ORDERS", schema=rows(1).schema).append(rows(1))
    assert asked(lake, "SELECT (SELECT count(*) FROM shop.Orders) AS a, (SELECT count(*) FROM shop.ORDERS) AS b") == [(3, 1)]
    with pytest.raises(SqlError, match=r"could be prod\.shop\.ORDERS or prod\.shop\.Orders"):
        asked(lake, "SELECT * FROM shop.orders")


def test_a_table_that_pyiceberg_refuses(lake: Any, books: Any, tmp_path: Path) -> None:
    """pyiceberg has no variants and cannot load such a table; only its place is asked of it."""
    from formats.iceberg.table_maker import TableMaker

    maker = TableMaker(tmp_path / "v3", [("id", "long"), ("v", "variant"), ("g", "geometry(OGC:CRS84)")], version=3)
    maker.commit([maker.data_file({"id": [1]})])
    location = next(iter(sorted((tmp_path / "v3/metadata").glob("*.metadata.json"), reverse=True)))
    with sqlite3.connect(tmp_path / "books.db") as database:
        database.execute(
            "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location) VALUES ('books', 'shop', 'v3', ?)", (f"file:{location}",)
        )
    with pytest.raises(Exception, match=r"variant|geometry"):
        books.load_table("shop.v3")
    assert asked(lake, "SELECT id FROM prod.shop.v3") == [(1,)]


def test_other_catalogs_are_left_alone(books: Any, tmp_path: Path) -> None:
    """A service that is down troubles those who name it, and no others."""
    books.close()
    after = '[catalogs.down]\ntype = "sql"\nuri = "sqlite:///nowhere.db"\n[session]\ncatalog = "prod"'
    with connected(tmp_path, after=after) as lake:
        assert asked(lake, "SELECT count(*) FROM shop.Orders") == [(3,)]
        assert [r[2] for r in asked(lake, "SHOW TABLES IN prod")] == ["carts", "Orders"]
        assert asked(lake, "SHOW CATALOGS") == [("down",), ("prod",)]
        with pytest.raises(CatalogError, match=r'SQL catalog "down" does not answer: there is no database file .*nowhere\.db'):
            asked(lake, "SELECT * FROM down.shop.Orders")
    assert not (tmp_path / "nowhere.db").exists()


def test_a_database_that_is_no_catalog_is_not_made_one(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "books.db") as database:
        database.execute("CREATE TABLE x (y INT)")
    before = (tmp_path / "books.db").read_bytes()
    with connected(tmp_path) as lake, pytest.raises(CatalogError, match=r'SQL catalog "prod".*no such table'):
        asked(lake, "SELECT * FROM shop.Orders")
    assert (tmp_path / "books.db").read_bytes() == before


def test_passwords_in_urls_are_in_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKS", "postgresql+nosuchdriver://reader:pass%2Fword@host/books")
    text = '[catalogs.prod]\ntype = "sql"\nuri = "env:BOOKS"'
    with lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake:
        with pytest.raises(CatalogError) as caught:
            asked(lake, "SELECT * FROM shop.Orders")
        assert "pass" not in f"{caught.value}{caught.value!r}{caught.value.__cause__}{caught.value.__context__}{lake.session.catalogs.catalogs}"
    monkeypatch.delenv("BOOKS")
    with lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake, pytest.raises(ConfigError, match=r"uri of catalog prod.*BOOKS"):
        asked(lake, "SELECT * FROM shop.Orders")


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "books.db").touch()
    for module, kind in (("pyiceberg.exceptions", "sql"), ("pyiceberg.catalog.sql", "sql"), ("hive_metastore.ttypes", "hive"), ("boto3", "glue")):
        with monkeypatch.context() as patch:
            for name in [n for n in sys.modules if n.startswith(("pyiceberg.catalog.", "lakesql.catalogs.pyiceberg"))]:
                patch.delitem(sys.modules, name)
            patch.setitem(sys.modules, module, None)
            text = f'[catalogs.prod]\ntype = "{kind}"\nuri = "{"sqlite:///books.db" if kind == "sql" else "thrift://127.0.0.1:1"}"'
            with (
                lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake,
                pytest.raises(ConfigError, match=rf'catalog "prod" is of type {kind}, which needs pyiceberg') as caught,
            ):
                asked(lake, "SELECT * FROM shop.Orders")
            assert "pip install 'lakesql[iceberg-catalogs]'" in str(caught.value)


def test_nothing_is_imported_before_a_catalog_is_asked(books: Any, tmp_path: Path) -> None:
    (tmp_path / "lakesql.toml").write_text('[catalogs.prod]\ntype = "sql"\nuri = "sqlite:///books.db"\nname = "books"\n')
    code = f"""
import sys, lakesql
with lakesql.connect({str(tmp_path / "lakesql.toml")!r}) as lake:
    lake.execute("SHOW CATALOGS").fetchall()
    assert not [m for m in sys.modules if m.split(".")[0] in ("pyiceberg", "sqlalchemy", "requests", "boto3")]
    print(lake.execute("SELECT count(*) FROM shop.Orders").fetchall())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[(3,)]\n", done.stderr
