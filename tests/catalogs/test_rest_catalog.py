"""Tables of a REST catalog, asked over HTTP of a server that is a process of its own."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pyarrow as pa
import pytest

import lakesql
from lakesql.config import parse
from lakesql.errors import AccessDeniedError, CatalogAccessError, CatalogError, UnknownTableError, UnsupportedFeatureError

from .rest_server import TOKEN

pytest.importorskip("pyiceberg")
pytest.importorskip("sqlalchemy")

pytestmark = pytest.mark.filterwarnings("ignore")  # pyiceberg's own

LOGIN, SECRET = "reader:pass-of-the-reader", "pass-of-the-reader"


class Server:
    """The server, its settings and the writer's catalog behind it."""

    def __init__(self, folder: Path, **properties: str) -> None:
        from pyiceberg.catalog.sql import SqlCatalog

        self.path = folder / "settings.json"
        named = {"uri": f"sqlite:///{folder}/books.db", "warehouse": f"file://{folder}/warehouse", **properties}
        self.settings: dict[str, Any] = {"catalog": named, "tables": {}}
        self.books = SqlCatalog("books", **named)
        self.say()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("rest_server.py")), str(self.path)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def say(self, **settings: Any) -> None:
        self.settings |= settings
        self.path.write_text(json.dumps(self.settings))

    def requests(self) -> list[str]:
        """Paths asked for since the last call, the common part left out."""
        log = Path(f"{self.path}.log")
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.split(" ", 1)[1].removeprefix("/v1/wh/main/") for line in lines]

    def config(self, folder: Path, more: str = "", after: str = "") -> Any:
        text = f'[catalogs.prod]\ntype = "rest"\nuri = "http://127.0.0.1:{self.port}"\nwarehouse = "main"\n{more}\n{after}'
        return parse(text, str(folder / "lakesql.toml"))

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()
        self.books.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    for namespace in ("shop", "eu", "eu.shop", "empty"):
        made.books.create_namespace(namespace)
    made.books.create_table("shop.orders", schema=rows(3).schema).append(rows(3))
    made.books.create_table("eu.shop.carts", schema=rows(1).schema).append(rows(1))
    yield made
    made.stop()


def rows(count: int, start: int = 0) -> pa.Table:
    return pa.table({"id": pa.array(range(start, start + count), pa.int64())})


def asked(lake: Any, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = lake.execute(sql).fetchall()
    return found


def test_names_rows_and_commits(server: Server, tmp_path: Path) -> None:
    table = server.books.load_table("shop.orders")
    with lakesql.connect(config=server.config(tmp_path)) as lake:
        for total in (3, 5):
            assert asked(lake, "SELECT count(*), max(id) FROM prod.shop.orders") == [(total, total - 1)]
            table.append(rows(2, total))
        for name in ("prod.eu.shop.carts", 'prod."eu.shop".carts', "PROD.EU.Shop.Carts", "carts"):
            assert asked(lake, f"SELECT count(*) FROM {name}") == [(1,)]
        assert asked(lake, "SELECT count(*) FROM prod.shop.orders.snapshots") == [(3,)]
        assert asked(lake, "SHOW SCHEMAS") == [("prod", "empty"), ("prod", "eu"), ("prod", "eu.shop"), ("prod", "shop")]
        assert [r[:3] for r in asked(lake, "SHOW TABLES")] == [("prod", "eu.shop", "carts"), ("prod", "shop", "orders")]


def test_only_what_is_needed_is_asked(server: Server, tmp_path: Path) -> None:
    with lakesql.connect(config=server.config(tmp_path)) as lake:
        assert asked(lake, "SHOW CATALOGS") == [("prod",)]
        assert server.requests() == []
        asked(lake, "SELECT count(*) FROM prod.shop.orders o JOIN prod.shop.orders p ON p.id = o.id")
        assert server.requests() == ["/v1/config?warehouse=main", *["namespaces/shop/tables/orders?snapshots=refs"] * 2]
        asked(lake, "SELECT count(*) FROM prod.shop.orders")
        assert server.requests() == ["namespaces/shop/tables/orders?snapshots=refs"]
        asked(lake, "SHOW TABLES IN prod.shop")
        assert [r for r in server.requests() if "/tables" in r] == ["namespaces/shop/tables"]


def test_lists_of_several_pages(server: Server, tmp_path: Path) -> None:
    for number in range(5):
        server.books.create_table(f"shop.t{number}", schema=rows(1).schema)
    server.say(page=2)
    with lakesql.connect(config=server.config(tmp_path)) as lake:
        assert [r[2] for r in asked(lake, "SHOW TABLES IN shop")] == ["orders", "t0", "t1", "t2", "t3", "t4"]


def test_unknown_tables_and_namespaces(server: Server, tmp_path: Path) -> None:
    with lakesql.connect(config=server.config(tmp_path)) as lake:
        with pytest.raises(UnknownTableError, match=r'there is no table "prod\.shop\.ordres"') as caught:
            asked(lake, "SELECT * FROM prod.shop.ordres")
        assert 'did you mean "prod.shop.orders"' in str(caught.value)
        with pytest.raises(UnknownTableError, match='catalog "prod" has no schema "shpo"'):
            asked(lake, "SELECT * FROM prod.shpo.orders")


def test_a_catalog_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f'[catalogs.prod]\ntype = "rest"\nuri = "http://user:hidden-word@127.0.0.1:{port}"'
    with lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake:
        for sql in ("SELECT * FROM prod.shop.orders", "SHOW TABLES", "SHOW SCHEMAS"):
            with pytest.raises(CatalogError, match='REST catalog "prod" does not answer') as caught:
                asked(lake, sql)
            assert "hidden-word" not in f"{caught.value}{caught.value!r}"


def test_a_catalog_that_takes_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lakesql.catalogs import pyiceberg_catalogs

    monkeypatch.setattr(pyiceberg_catalogs, "ANSWER_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        text = f'[catalogs.prod]\ntype = "rest"\nuri = "http://127.0.0.1:{silent.getsockname()[1]}"'
        with lakesql.connect(config=parse(text, str(tmp_path / "lakesql.toml"))) as lake, pytest.raises(CatalogError, match=r"does not answer.*timed out"):
            asked(lake, "SELECT * FROM prod.shop.orders")


def test_an_answer_that_is_none(server: Server, tmp_path: Path) -> None:
    with lakesql.connect(config=server.config(tmp_path)) as lake:
        asked(lake, "SELECT count(*) FROM prod.shop.orders")
        for garbage in ("<html>", "[]", '{"metadata-location": 3}', "{}"):
            server.say(garbage=garbage)
            with pytest.raises(CatalogError, match='REST catalog "prod"'):
                asked(lake, "SELECT * FROM prod.shop.orders")
    with lakesql.connect(config=server.config(tmp_path)) as lake, pytest.raises(CatalogError, match='REST catalog "prod"'):
        asked(lake, "SELECT * FROM prod.shop.orders")


def test_logging_in(server: Server, tmp_path: Path) -> None:
    server.say(login=LOGIN)
    oauth = f'properties = {{ oauth2-server-uri = "http://127.0.0.1:{server.port}/v1/oauth/tokens" }}'
    for way in (f'credential = "{LOGIN}"\n{oauth}', f'token = "{TOKEN}"'):
        with lakesql.connect(config=server.config(tmp_path, way)) as lake:
            assert asked(lake, "SELECT count(*) FROM prod.shop.orders") == [(3,)]


@pytest.mark.parametrize("way", ["credential", "token", "none"])
def test_bad_credentials(server: Server, tmp_path: Path, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """The server here says what it was given; it is not passed on."""
    server.say(login=LOGIN)
    oauth = f'properties = {{ oauth2-server-uri = "http://127.0.0.1:{server.port}/v1/oauth/tokens" }}'
    said = {"credential": f'credential = "reader:hidden-word"\n{oauth}', "token": 'token = "hidden-word"', "none": ""}[way]
    config = server.config(tmp_path, said)
    with caplog.at_level(logging.DEBUG), lakesql.connect(config=config) as lake:
        with pytest.raises(CatalogAccessError, match='REST catalog "prod" refuses access') as caught:
            asked(lake, "SELECT * FROM prod.shop.orders")
        shown = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}{config!r}{lake.session.catalogs.catalogs}"
        assert "hidden-word" not in shown
        assert "hidden-word" not in caplog.text


def test_credentials_that_end_are_asked_for_again(server: Server, tmp_path: Path) -> None:
    """The server forgets its tokens and takes another login: the next statement says so."""
    server.say(login=LOGIN)
    with lakesql.connect(config=server.config(tmp_path, f'token = "{TOKEN}"')) as lake:
        asked(lake, "SELECT count(*) FROM prod.shop.orders")
        server.say(login=None)
        asked(lake, "SELECT count(*) FROM prod.shop.orders")


# Vended credentials ------------------------------------------------------------------------------------------------------------------------------------


class Bucket:
    """An S3 server that asks for keys, with a bucket `lake`."""

    def __init__(self) -> None:
        import boto3
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._running.start()
        host, port = self._running.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        named = {"endpoint_url": self.endpoint, "aws_access_key_id": "admin", "aws_secret_access_key": "admin", "region_name": "us-east-1"}
        self._iam = boto3.client("iam", **named)
        boto3.client("s3", **named).create_bucket(Bucket="lake")
        self.writer = self.keys("writer")

    def keys(self, user: str) -> dict[str, str]:
        """New keys of a user who may do all with S3."""
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "iam:*"], "Resource": "*"}]}
        self._ask_after(1000)
        self._iam.create_user(UserName=user)
        self._iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(everything))
        key = self._iam.create_access_key(UserName=user)["AccessKey"]
        self._ask_after(0)
        return {"s3.access-key-id": key["AccessKeyId"], "s3.secret-access-key": key["SecretAccessKey"]}

    def forget(self, user: str, keys: dict[str, str]) -> None:
        """From now on the keys are nobody's."""
        self._ask_after(1000)
        self._iam.delete_access_key(UserName=user, AccessKeyId=keys["s3.access-key-id"])
        self._ask_after(0)

    def _ask_after(self, requests: int) -> None:
        body = str(requests).encode()
        urlopen(Request(f"{self.endpoint}/moto-api/reset-auth", data=body, headers={"Content-Type": "text/plain"}, method="POST")).close()

    def stop(self) -> None:
        urlopen(Request(f"{self.endpoint}/moto-api/reset", method="POST")).close()
        self._ask_after(10**9)
        self._running.stop()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    made = Bucket()
    yield made
    made.stop()


@pytest.fixture
def vending(bucket: Bucket, tmp_path: Path) -> Iterator[Server]:
    """Tables `shop.a` and `shop.b` of two rows each in one bucket."""
    made = Server(tmp_path, warehouse="s3://lake/wh", **{"s3.endpoint": bucket.endpoint, "s3.region": "us-east-1", **bucket.writer})
    made.books.create_namespace("shop")
    for name in ("a", "b"):
        made.books.create_table(f"shop.{name}", schema=rows(2).schema).append(rows(2))
    yield made
    made.stop()


WRONG = {"s3.access-key-id": "AKIAWRONG", "s3.secret-access-key": "hidden-word"}


def test_vended_credentials_are_used_for_metadata_and_data(bucket: Bucket, vending: Server, tmp_path: Path) -> None:
    """The only keys the server takes are those the catalog gives out, for each table its own; the configuration's are wrong."""
    place = {"s3.endpoint": bucket.endpoint, "s3.region": "us-east-1"}
    of_a, of_b = bucket.keys("a"), bucket.keys("b")
    location = vending.books.load_table("shop.b").location()
    b = {"config": {**place, **WRONG}, "storage-credentials": [{"prefix": "s3", "config": WRONG}, {"prefix": location, "config": of_b}]}
    vending.say(tables={"shop.a": {"config": {**place, **of_a}}, "shop.b": b})
    own = f'[storage."s3://lake"]\nendpoint = "{bucket.endpoint}"\nregion = "us-east-1"\naccess_key_id = "AKIAOWN"\nsecret_access_key = "own"'
    with lakesql.connect(config=vending.config(tmp_path, after=own)) as lake:
        for name in ("a", "b"):
            assert asked(lake, f"SELECT id FROM prod.shop.{name} ORDER BY id") == [(0,), (1,)]
            assert asked(lake, f"SELECT count(*) FROM prod.shop.{name}.files") == [(1,)]
        assert asked(lake, "SELECT a.id FROM prod.shop.a JOIN prod.shop.b ON a.id = b.id ORDER BY 1") == [(0,), (1,)]
        assert asked(lake, "SELECT _file FROM prod.shop.a LIMIT 1")[0][0].startswith(vending.books.load_table("shop.a").location())
        vending.say(tables={"shop.a": {"config": {**place, **of_a}}, "shop.b": {"config": {**place, **WRONG}}})
        assert asked(lake, "SELECT id FROM prod.shop.a ORDER BY id") == [(0,), (1,)]
        with pytest.raises(AccessDeniedError) as caught:
            asked(lake, "SELECT id FROM prod.shop.b")
        shown = f"{caught.value}{caught.value!r}{lake.session.catalogs.__dict__}{vars(lake.session.catalogs.storage)}"
        assert not [w for w in ("hidden-word", of_a["s3.secret-access-key"], of_b["s3.secret-access-key"]) if w in shown]
        explained = [*asked(lake, "EXPLAIN PRUNING SELECT id FROM prod.shop.a WHERE id > 0"), *asked(lake, "EXPLAIN SELECT id FROM prod.shop.a")]
        assert of_a["s3.access-key-id"] not in str(explained)


def test_each_statement_takes_the_credentials_of_its_own_answer(bucket: Bucket, vending: Server, tmp_path: Path) -> None:
    place = {"s3.endpoint": bucket.endpoint, "s3.region": "us-east-1"}
    keys = bucket.keys("first")
    vending.say(tables={"shop.a": {"config": {**place, **keys}}})
    with lakesql.connect(config=vending.config(tmp_path)) as lake:
        for user in ("second", "third"):
            assert asked(lake, "SELECT sum(id) FROM prod.shop.a") == [(1,)]
            bucket.forget({"second": "first", "third": "second"}[user], keys)
            with pytest.raises(AccessDeniedError):
                asked(lake, "SELECT sum(id) FROM prod.shop.a WHERE id >= 0")
            keys = bucket.keys(user)
            vending.say(tables={"shop.a": {"config": {**place, **keys}}})
        assert asked(lake, "SELECT sum(id) FROM prod.shop.a") == [(1,)]


def test_endpoints_of_the_configuration_serve_vended_keys(bucket: Bucket, vending: Server, tmp_path: Path) -> None:
    vending.say(tables={"shop.a": {"storage-credentials": [{"prefix": "s3://lake/wh/shop/a/", "config": bucket.keys("a")}]}})
    assert vending.books.load_table("shop.a").location() == "s3://lake/wh/shop/a"
    own = f'[storage."s3://lake"]\nendpoint = "{bucket.endpoint}"\nregion = "us-east-1"'
    with lakesql.connect(config=vending.config(tmp_path, after=own)) as lake:
        assert asked(lake, "SELECT count(*), max(id) FROM prod.shop.a WHERE id >= 0") == [(2, 1)]


def test_keys_of_the_catalog_s_own_properties(bucket: Bucket, vending: Server, tmp_path: Path) -> None:
    keys = "\n".join(f'"{k}" = "{v}"' for k, v in {"s3.endpoint": bucket.endpoint, "s3.region": "us-east-1", **bucket.writer}.items())
    config = vending.config(tmp_path, f"[catalogs.prod.properties]\n{keys}")
    with lakesql.connect(config=config) as lake:
        assert asked(lake, "SELECT max(id) FROM prod.shop.a WHERE id >= 0") == [(1,)]
    assert bucket.writer["s3.secret-access-key"] not in repr(config)


def test_ways_in_that_are_refused(bucket: Bucket, vending: Server, tmp_path: Path) -> None:
    vending.say(tables={"shop.a": {"config": {"s3.remote-signing-enabled": "true"}}})
    with (
        lakesql.connect(config=vending.config(tmp_path)) as lake,
        pytest.raises(UnsupportedFeatureError, match=r"prod\.shop\.a wants every request to s3://lake signed by the catalog"),
    ):
        asked(lake, "SELECT * FROM prod.shop.a")


def test_statements_side_by_side(server: Server, tmp_path: Path) -> None:
    found: list[Any] = []
    with lakesql.connect(config=server.config(tmp_path)) as lake:

        def ask() -> None:
            found.extend(asked(lake, "SELECT count(*) FROM prod.shop.orders"))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [(3,)] * 6
