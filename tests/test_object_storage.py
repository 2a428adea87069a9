"""S3 against a server on this machine; GCS and Azure as far as they go without one."""

from __future__ import annotations

import logging
import pickle
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from storage_contract import FILES, StorageContract, parquet

from lakesql import formats
from lakesql.catalogs import Catalogs
from lakesql.config import Config, StorageConfig, parse
from lakesql.errors import AccessDeniedError, ConfigError, Error, MetadataError, StorageError
from lakesql.location import Kind, engine_url
from lakesql.object_storage import ObjectStorage
from lakesql.storage import CachedStorage, Storage
from lakesql.store_options import Options
from lakesql.stores import EngineStore, Stores, engine_store, for_path

obstore = pytest.importorskip("obstore")
moto_server = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

KEY, SECRET, TOKEN = "AKIALAKESQLTEST", "s3cr3t/value+of/the-key", "t0ken-of-the-session"


class Server:
    """An S3 server with one bucket, `lake`, that holds FILES."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
        self.options = {"endpoint": endpoint, "region": "us-east-1", "access_key_id": KEY, "secret_access_key": SECRET}

    def put(self, files: dict[str, bytes], bucket: str = "lake") -> None:
        for key, content in files.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def storage(self, **more: str) -> Storage:
        return for_path("s3://lake/", self.options | more)

    def ask_for_keys(self, after: int) -> None:
        """From the next request but `after` on, keys nobody issued are refused."""
        urlopen(Request(f"{self.endpoint}/moto-api/reset-auth", data=str(after).encode(), headers={"Content-Type": "text/plain"}, method="POST")).close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    made = Server(f"http://{host}:{port}")
    made.client.create_bucket(Bucket="lake")
    made.put(FILES)
    yield made
    running.stop()


@pytest.fixture(autouse=True)
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


class TestS3(StorageContract):
    root = "s3://lake"

    @pytest.fixture
    def storage(self, server: Server) -> Storage:
        return server.storage()


class TestOtherSpelling(StorageContract):
    root = "s3a://lake"

    @pytest.fixture
    def storage(self, server: Server) -> Storage:
        return CachedStorage(Stores([StorageConfig("s3://lake", Options(server.options))]))


# Listings ----------------------------------------------------------------------------------------------------------------------------------------------


def test_the_bucket_itself_lists(server: Server) -> None:
    assert [(e.path, e.is_folder) for e in server.storage().list("s3://lake") if e.name == "t"] == [("s3://lake/t", True)]
    assert [(e.path, e.is_folder) for e in server.storage().list("s3://lake/") if e.name == "t"] == [("s3://lake/t", True)]


def test_a_listing_with_many_folders_is_complete_and_in_order(server: Server) -> None:
    names = [f"f{n:02}" for n in range(40)]
    server.put({f"many/{name}/x": b"1" for name in names} | {f"many/{name}.json": b"1" for name in names})
    expected = sorted([f"{name}/" for name in names] + [f"{name}.json" for name in names], key=str.encode)
    assert [e.name + "/" * e.is_folder for e in server.storage().list("s3://lake/many")] == expected
    after = [e.name + "/" * e.is_folder for e in server.storage().list("s3://lake/many", start_after="f20")]
    assert after == [name for name in expected if name.rstrip("/") > "f20"]


def test_a_listing_of_more_than_one_page_is_complete(server: Server) -> None:
    server.client.create_bucket(Bucket="pages")
    server.put({f"log/{n:04}.json": b"1" for n in range(1005)}, bucket="pages")
    storage = for_path("s3://pages/", server.options)
    assert [e.name for e in storage.list("s3://pages/log")] == [f"{n:04}.json" for n in range(1005)]
    assert [e.name for e in storage.list("s3://pages/log", start_after="1001.json")] == ["1002.json", "1003.json", "1004.json"]
    assert next(storage.list("s3://pages/log")).name == "0000.json"


def test_markers_of_folders_are_no_files(server: Server) -> None:
    server.put({"marked/sub/": b"", "marked/sub/x": b"1", "marked/empty": b"", "marked/z": b"1"})
    assert [(e.name, e.is_folder) for e in server.storage().list("s3://lake/marked")] == [("empty", False), ("sub", True), ("z", False)]


# Errors ------------------------------------------------------------------------------------------------------------------------------------------------


def everything(storage: Storage, path: str) -> list[Any]:
    return [
        lambda: storage.read(path),
        lambda: storage.read_range(path, 0, 1),
        lambda: storage.open(path),
        lambda: list(storage.list(path)),
    ]


def test_a_bucket_that_is_not_there_is_named(server: Server) -> None:
    storage = for_path("s3://nobucket/x", server.options)
    for ask in everything(storage, "s3://nobucket/x"):
        with pytest.raises(StorageError, match="nobucket"):
            ask()
    with pytest.raises(StorageError, match="there is no bucket s3://nobucket"):
        list(storage.list("s3://nobucket/x"))


def test_keys_the_store_cannot_name_are_errors_of_ours(server: Server) -> None:
    for path in ("s3://lake/a//b", "s3://lake/../b", "s3://lake/a/./b"):
        for ask in everything(server.storage(), path):
            with pytest.raises(StorageError):
                ask()


def test_a_refused_request_says_so_and_why(server: Server) -> None:
    storage = server.storage()
    server.ask_for_keys(after=0)
    try:
        for ask in [*everything(storage, "s3://lake/t/a.json"), lambda: storage.size("s3://lake/t/a.json")]:
            with pytest.raises(AccessDeniedError) as caught:
                ask()
            assert caught.value.path == "s3://lake/t/a.json"
        with pytest.raises(AccessDeniedError, match="InvalidAccessKeyId"):
            storage.read("s3://lake/t/a.json")
    finally:
        server.ask_for_keys(after=1_000_000_000)


def test_a_dead_endpoint_is_an_error_soon() -> None:
    storage = for_path("s3://lake/x", {"endpoint": "http://127.0.0.1:9", "access_key_id": KEY, "secret_access_key": SECRET})
    with pytest.raises(StorageError, match="s3://lake/x"):
        storage.read("s3://lake/x")


@pytest.mark.parametrize("endpoint", ["not a url", "localhost:9000", "http://", "http://user:secret@host", "http://[::1", "http://host:port"])
def test_an_endpoint_that_is_no_url_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="endpoint of s3://lake") as caught:
        for_path("s3://lake/x", {"endpoint": endpoint, "access_key_id": KEY, "secret_access_key": SECRET})
    assert "secret" not in str(caught.value)


def test_a_file_too_large_to_be_metadata_is_not_read(server: Server) -> None:
    stores = Stores([StorageConfig("s3://lake", Options(server.options))], file_limit_bytes=10)
    with pytest.raises(MetadataError, match=r"s3://lake/t/a\.json.*14 bytes"):
        stores.read("s3://lake/t/a.json")
    assert stores.read("s3://lake/t/a0") == b"after it"
    with pytest.raises(MetadataError, match="up to 10"):
        stores.read_range("s3://lake/t/a.json", 0, 11)


def test_secrets_are_in_no_error_and_no_text(server: Server) -> None:
    options = server.options | {"session_token": TOKEN}
    configured = StorageConfig("s3://lake", Options(options))
    stores = Stores([configured])
    texts = [repr(x) for x in (configured, Config(storage=(configured,)), stores, stores.for_path("s3://lake/x"), stores.engine_store("s3://lake/x"))]
    server.ask_for_keys(after=0)
    try:
        storages = [stores, for_path("s3://nobucket/x", options), for_path("s3://lake/x", options | {"endpoint": "http://127.0.0.1:9"})]
        for storage in storages:
            for ask in everything(storage, "s3://lake/t/a.json" if storage is stores else "s3://nobucket/x" if storage is storages[1] else "s3://lake/x"):
                try:
                    ask()
                except Error as error:
                    texts.append("".join(traceback.format_exception(error)))
    finally:
        server.ask_for_keys(after=1_000_000_000)
    assert len(texts) == 5 + 3 * 4
    for text in texts:
        for secret in (KEY, SECRET, TOKEN, "s3cr3t"):
            assert secret not in text


def test_without_obstore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match="obstore") as caught:
        for_path("s3://lake/x")
    assert "lakesql[cloud]" in str(caught.value)


def test_a_panic_of_the_store_is_an_error_of_ours(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As Rust libraries raise it: no Exception."""

    def panic(*args: Any, **options: Any) -> Any:
        raise PanicException("request valid: InvalidUri")

    storage = server.storage()
    monkeypatch.setattr(obstore, "get", panic)
    with pytest.raises(StorageError, match=r'cannot read "s3://lake/x": request valid'):
        storage.read("s3://lake/x")


# Options -----------------------------------------------------------------------------------------------------------------------------------------------


def test_keys_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    assert for_path("s3://lake/x").read("s3://lake/t/a0") == b"after it"
    store = Stores().engine_store("s3://lake/x")
    assert store is not None
    assert dict(store.options) == {"endpoint": server.endpoint, "allow_http": "true"}


def test_keys_come_from_a_profile(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(f"[lake]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n[empty]\n")
    (tmp_path / ".aws/config").write_text("[profile lake]\nregion = eu-north-1\n")
    storage = for_path("s3://lake/x", {"endpoint": server.endpoint, "profile": "lake"})
    assert storage.read("s3://lake/t/a0") == b"after it"
    store = Stores([StorageConfig("s3://", Options({"profile": "lake"}))]).engine_store("s3://other/x")
    assert store is not None
    assert dict(store.options) == {"profile": "lake", "access_key_id": KEY, "secret_access_key": SECRET, "region": "eu-north-1"}
    with pytest.raises(ConfigError, match='profile "empty" holds no keys'):
        for_path("s3://lake/x", {"profile": "empty"})


def test_the_default_profile_is_used_where_nothing_else_gives_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert dict(_options(Stores())) == {"access_key_id": "a", "secret_access_key": "b"}
    assert dict(_options(Stores([StorageConfig("s3://", Options({"anonymous": "true"}))]))) == {"anonymous": "true"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env")
    assert dict(_options(Stores())) == {}


def test_references_are_looked_up_when_the_store_is_used(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET + "\n")
    config = parse(
        f"""
        [storage."s3://lake"]
        endpoint = "{server.endpoint}"
        region = "us-east-1"
        access_key_id = "env:LAKE_KEY"
        secret_access_key = "file:secret"
        """,
        str(tmp_path / "lakesql.toml"),
    )
    stores = Stores(config.storage)
    with pytest.raises(ConfigError, match=r"access_key_id of s3://lake .* LAKE_KEY"):
        stores.read("s3://lake/t/a0")
    monkeypatch.setenv("LAKE_KEY", KEY)
    assert stores.read("s3://lake/t/a0") == b"after it"
    secret_file.unlink()
    with pytest.raises(ConfigError, match=r"secret_access_key of s3://lake .*secret.*cannot be read"):
        Stores(config.storage).read("s3://lake/t/a0")


def test_a_bucket_s_options_are_its_own_or_its_scheme_s_never_mixed() -> None:
    stores = Stores([StorageConfig("s3://a", Options({"region": "r-a"})), StorageConfig("s3://", Options({"access_key_id": "k", "secret_access_key": "s"}))])
    assert dict(_options(stores, "s3://a/x")) == {"region": "r-a"}
    assert dict(_options(stores, "s3n://b/x")) == {"access_key_id": "k", "secret_access_key": "s"}


def _options(stores: Stores, path: str = "s3://lake/x") -> Options:
    store = stores.engine_store(path)
    assert store is not None
    return store.options


def test_gcs_and_azure_take_their_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    assert _options(Stores(), "gs://b/x")["service_account"] == str(key)
    with pytest.raises(ConfigError, match="gs://b"):
        for_path("gs://b/x")
    azure = Stores([StorageConfig("az://", Options({"access_key": "c2VjcmV0", "account": "other"}))])
    assert dict(_options(azure, "abfss://c@acme.dfs.core.windows.net/x")) == {"access_key": "c2VjcmV0", "account": "acme"}
    assert isinstance(azure.for_path("abfss://c@acme.dfs.core.windows.net/x"), ObjectStorage)
    every = {"account": "a", "client_id": "i", "client_secret": "s", "tenant_id": "t", "bearer_token": "b", "sas_token": "sv=1&sig=x", "emulator": "true"}
    assert isinstance(for_path("az://c/x", every), ObjectStorage)
    with pytest.raises(ConfigError, match=r"az://c: .*[Aa]ccount"):
        for_path("az://c/x")


def test_what_the_engine_has_no_argument_for_is_given_by_the_environment() -> None:
    store = EngineStore(Kind.S3, "s3://b", "b", Options({"anonymous": "true", "virtual_hosted": "true"}))
    assert store.environment == {"AWS_SKIP_SIGNATURE": "true", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"}
    assert EngineStore(Kind.S3, "s3://b", "b", Options()).environment == {}


# Together ----------------------------------------------------------------------------------------------------------------------------------------------


def test_an_engine_reads_what_storage_names(server: Server) -> None:
    from datafusion import SessionContext
    from datafusion.object_store import AmazonS3

    name = "data/p=a%2Fb/é #?*+&[1]{2}.parquet"
    server.put({name: parquet()})
    stores = CachedStorage(Stores([StorageConfig("s3://lake", Options(server.options))]))
    store = engine_store(stores, f"s3a://lake/{name}")
    assert store is not None
    context = SessionContext()
    taken = {k: v for k, v in store.options.items() if k != "allow_http"}
    context.register_object_store("s3://", AmazonS3(bucket_name=store.bucket, allow_http=store.options.flag("allow_http"), **taken), "lake")
    assert context.read_parquet(engine_url(f"s3a://lake/{name}")).count() == 1000


def test_a_lake_in_a_bucket_is_a_catalog(server: Server) -> None:
    server.client.create_bucket(Bucket="warehouse")
    server.put(
        {
            "lake/orders/_delta_log/00000000000000000000.json": b"{}",
            "lake/shop.db/carts/schema/schema-0": b"{}",
            "lake/shop.db/notes.txt": b"",
            "lake/crm/items/metadata/v1.metadata.json": b"{}",
            "lake/crm/plain/x.parquet": b"",
        },
        bucket="warehouse",
    )
    config = Config(storage=(StorageConfig("s3://warehouse", Options(server.options)),))
    catalogs = Catalogs.for_target("s3://warehouse/lake/", config=config)
    assert [(e.schema, e.name, e.format) for _, e in catalogs.tables()] == [
        ("crm", "items", "iceberg"),
        ("default", "orders", "delta"),
        ("shop", "carts", "paimon"),
    ]
    assert catalogs.find(["shop", "CARTS"]).location == "s3://warehouse/lake/shop.db/carts"
    assert formats.recognise(catalogs.storage, "s3a://warehouse/lake/orders").format == "delta"
    with pytest.raises(Error, match="there is nothing at this place"):
        Catalogs.for_target("s3://warehouse/nowhere", config=config)
    assert Catalogs.for_target("s3://warehouse/lake/orders", config=config).find(["t"]).location == "s3://warehouse/lake/orders"


def test_options_survive_being_copied() -> None:
    options = Options({"access_key_id": KEY})
    assert pickle.loads(pickle.dumps(options)) == options


# Loans -------------------------------------------------------------------------------------------------------------------------------------------------


def test_lent_options_count_below_their_place_alone(server: Server) -> None:
    server.put({"lent/a/x": b"1", "lent/ab/x": b"2", "lent/a/b/x": b"3"})
    said = {"endpoint": server.endpoint, "region": "us-east-1", "access_key_id": "AKIAOWN", "secret_access_key": "own-secret", "session_token": "own-token"}
    stores = Stores([StorageConfig("s3://lake", Options(said))])
    own = stores.engine_store("s3://lake/lent/ab/x")
    stores.lend("s3a://lake/lent/a/", {"access_key_id": KEY, "secret_access_key": SECRET})
    stores.lend("s3://lake/lent/a/b", {"access_key_id": "AKIAOTHER", "secret_access_key": "other-secret"})
    assert stores.engine_store("s3://lake/lent/ab/x") == own
    keys = {p: stores.engine_store(f"s3://lake/lent/{p}") for p in ("a", "a/x", "a/b/x", "a/b")}
    assert [store.options["access_key_id"] for store in keys.values() if store] == [KEY, KEY, "AKIAOTHER", "AKIAOTHER"]
    lent = keys["a/x"]
    assert lent is not None
    assert (lent.bucket, lent.options["endpoint"], "session_token" in lent.options) == ("lake", server.endpoint, False)
    assert lent.url not in ("s3://lake", keys["a/b"].url if keys["a/b"] else "")
    assert SECRET not in f"{lent!r}{stores!r}"
    assert stores.read("s3://lake/lent/a/x") == b"1"


def test_new_options_take_the_place_of_those_lent_before(server: Server) -> None:
    server.put({"again/x": b"1"})
    stores = Stores([StorageConfig("s3://lake", Options({"endpoint": server.endpoint, "region": "us-east-1"}))])
    stores.lend("s3://lake/again", {"access_key_id": KEY, "secret_access_key": SECRET})
    before, storage = stores.engine_store("s3://lake/again/x"), stores.for_path("s3://lake/again/x")
    stores.lend("s3://lake/again", {"access_key_id": KEY, "secret_access_key": SECRET})
    assert stores.for_path("s3://lake/again/x") is storage
    stores.lend("s3://lake/again", {"access_key_id": "AKIANEW", "secret_access_key": SECRET})
    after = stores.engine_store("s3://lake/again/x")
    assert before is not None
    assert after is not None
    assert (after.url, after.options["access_key_id"]) == (before.url, "AKIANEW")
    assert stores.for_path("s3://lake/again/x") is not storage
    stores.lend("s3://lake/again", {})
    assert stores.engine_root("s3://lake/again/x") == "s3://lake"


def test_what_is_lent_is_never_looked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A catalog that could name files and variables of this machine would be sent them."""
    (tmp_path / "secret").write_text("the-secret")
    monkeypatch.setenv("LAKESQL_SECRET", "the-secret")
    stores = Stores()
    for value in (f"file:{tmp_path}/secret", "env:LAKESQL_SECRET"):
        stores.lend("s3://lake/x", {"access_key_id": value, "secret_access_key": value})
        store = stores.engine_store("s3://lake/x/y")
        assert store is not None
        assert store.options["access_key_id"] == value
