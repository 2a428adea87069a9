"""Hive and Glue: Glue against a server on this machine, Hive as far as it goes without one."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import lakesql
from lakesql.config import parse
from lakesql.errors import CatalogAccessError, CatalogError, NotATableError, UnknownTableError

pytest.importorskip("pyiceberg")

pytestmark = pytest.mark.filterwarnings("ignore")  # pyiceberg's own

ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64())})


def asked(lake: Any, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = lake.execute(sql).fetchall()
    return found


# Glue --------------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    moto_server = pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def glue(tmp_path: Path, endpoint: str, more: str = "") -> Any:
    keys = {"glue.endpoint": endpoint, "glue.region": "us-east-1", "glue.access-key-id": "AKIAGLUE", "glue.secret-access-key": "hidden-word"}
    lines = "\n".join(f'"{k}" = "{v}"' for k, v in keys.items())
    return parse(f'[catalogs.aws]\ntype = "glue"\n[catalogs.aws.properties]\n{lines}\n{more}', str(tmp_path / "lakesql.toml"))


def test_glue_with_commits_between_two_reads(endpoint: str, tmp_path: Path) -> None:
    boto3 = pytest.importorskip("boto3")
    from pyiceberg.catalog.glue import GlueCatalog

    named = {"glue.endpoint": endpoint, "glue.region": "us-east-1", "glue.access-key-id": "AKIAGLUE", "glue.secret-access-key": "x"}
    writer = GlueCatalog("aws", **named, warehouse=f"file://{tmp_path}/warehouse")
    writer.create_namespace("lakesql_shop")
    table = writer.create_table("lakesql_shop.orders", schema=ROWS.schema)
    client = boto3.client("glue", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    client.create_table(DatabaseName="lakesql_shop", TableInput={"Name": "plain", "Parameters": {"table_type": "hudi"}})
    with lakesql.connect(config=glue(tmp_path, endpoint)) as lake:
        for total in (0, 3, 6):
            assert asked(lake, "SELECT count(*) FROM aws.lakesql_shop.orders") == [(total,)]
            table.append(ROWS)
        assert asked(lake, "SELECT count(*) FROM lakesql_shop.ORDERS") == [(9,)]
        assert [r[:3] for r in asked(lake, "SHOW TABLES IN lakesql_shop")] == [("aws", "lakesql_shop", "orders")]
        with pytest.raises(NotATableError, match=r"lakesql_shop\.plain is no Iceberg table: its table_type is hudi"):
            asked(lake, "SELECT * FROM aws.lakesql_shop.plain")
        with pytest.raises(UnknownTableError, match='has no schema "nope"'):
            asked(lake, "SELECT * FROM aws.nope.orders")


def test_glue_that_is_not_there_or_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("boto3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    with lakesql.connect(config=glue(tmp_path, endpoint, '"glue.max-retries" = 1')) as lake, pytest.raises(CatalogError, match="Glue catalog") as caught:
        asked(lake, "SELECT * FROM aws.shop.orders")
    assert "does not answer" in str(caught.value)
    assert "hidden-word" not in str(caught.value)
    from botocore.exceptions import ClientError

    from lakesql.catalogs.iceberg import IcebergCatalog
    from lakesql.storage import MemoryStorage
    from lakesql.store_options import Properties

    catalog = IcebergCatalog("aws", "glue", MemoryStorage(), Properties({"glue.secret-access-key": "hidden-word"}))
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "User hidden-word is not authorized"}}, "GetTable")
    monkeypatch.setattr(catalog, "_connect", lambda: SimpleNamespace(load_table=lambda _: (_ for _ in ()).throw(error)))
    with pytest.raises(CatalogAccessError, match="User \\*\\*\\* is not authorized"):
        catalog.find("shop", "orders")


# Hive --------------------------------------------------------------------------------------------------------------------------------------------------


def test_hive_is_given_its_properties_and_asked_for_the_parameters_of_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The metastore's own client is pyiceberg's; what is between it and the table is lakesql's."""
    pytest.importorskip("thrift")
    from hive_metastore.ttypes import Table
    from pyiceberg.catalog import hive

    from lakesql.catalogs import pyiceberg_catalogs

    made = pyiceberg_catalogs.connect("hive", "prod", {"uri": "thrift://metastore:9083", "ugi": "reader:group", "s3.endpoint": "http://s3"})
    client = made._client
    assert (client._uri, client._ugi, made.properties["s3.endpoint"]) == ("thrift://metastore:9083", ["reader", "group"], "http://s3")
    assert client._transport._TBufferedTransport__trans._timeout == pyiceberg_catalogs.ANSWER_SECONDS

    parameters = {"table_type": "ICEBERG", "metadata_location": "s3://lake/shop/orders/metadata/00001-x.metadata.json"}
    tables = {"orders": Table(tableName="orders", dbName="shop", parameters=parameters), "plain": Table(tableName="plain", dbName="shop", parameters={})}

    class Client:
        def get_table(self, dbname: str, tbl_name: str) -> Any:
            if dbname != "shop" or tbl_name not in tables:
                raise hive.NoSuchObjectException(message="none")
            return tables[tbl_name]

        def get_all_databases(self) -> list[str]:
            return ["shop"]

        def get_all_tables(self, db_name: str) -> list[str]:
            return list(tables)

        def get_table_objects_by_name(self, dbname: str, tbl_names: list[str]) -> list[Any]:
            return [tables[n] for n in tbl_names]

    monkeypatch.setattr(hive._HiveClient, "__enter__", lambda self: Client())
    monkeypatch.setattr(hive._HiveClient, "__exit__", lambda self, *error: None)
    loaded = made.load_table(("shop", "orders"))
    assert (loaded.metadata_location, loaded.properties["s3.endpoint"]) == (parameters["metadata_location"], "http://s3")
    text = '[catalogs.prod]\ntype = "hive"\nuri = "thrift://metastore:9083"'
    with lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake:
        assert [r[:3] for r in asked(lake, "SHOW TABLES")] == [("prod", "shop", "orders")]
        assert lake.session.catalogs.find(["prod", "SHOP", "Orders"]).location == parameters["metadata_location"]
        with pytest.raises(NotATableError, match=r'Hive catalog "prod": shop\.plain is no Iceberg table'):
            asked(lake, "SELECT * FROM prod.shop.plain")


def test_a_metastore_that_does_not_answer(tmp_path: Path) -> None:
    pytest.importorskip("thrift")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f'[catalogs.prod]\ntype = "hive"\nuri = "thrift://127.0.0.1:{port}"'
    with lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake, pytest.raises(CatalogError, match='Hive catalog "prod" does not answer'):
        asked(lake, "SELECT * FROM prod.shop.orders")
