"""lakesql.toml: what it can say, where it is found, and how mistakes in it are reported."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from lakesql import config
from lakesql.catalogs import Catalogs
from lakesql.config import Config, EngineConfig, ReaderConfig, SessionConfig, TableConfig, find, load, load_config, own_file, parse
from lakesql.errors import ConfigError
from lakesql.formats import TITLES
from lakesql.location import Kind
from lakesql.store_options import FLAGS, OPTIONS

FILE = "/etc/lake/lakesql.toml"


def example() -> str:
    """The file that the module's text shows."""
    assert config.__doc__
    return "\n".join(line[4:] for line in config.__doc__.splitlines() if line.startswith("    "))


def test_the_example_in_the_documentation_means_what_it_says() -> None:
    read = parse(example(), FILE)
    lake, crm, prod = read.catalogs
    assert (lake.name, lake.type, lake.path, lake.schema, lake.format) == ("lake", "directory", "/etc/lake/lake", "shop", "delta")
    assert lake.tables == {("shop", "orders"): TableConfig("s3://bucket/orders", "iceberg", {"key": "value"})}
    assert (crm.name, crm.type, crm.path, crm.schema, crm.tables) == ("crm", "tables", None, None, {})
    assert (prod.name, prod.type, prod.path, prod.tables) == ("prod", "rest", None, {})
    assert dict(prod.properties) == {
        "uri": "https://catalog.example",
        "warehouse": "prod",
        "credential": "env:CATALOG_CREDENTIAL",
        "oauth2-server-uri": "https://login.example/token",
    }
    assert read.tables == {"events": TableConfig("/etc/lake/data/events")}
    assert [(s.url, dict(s.options)) for s in read.storage] == [("s3://bucket", {"secret_access_key": "env:BUCKET_SECRET"})]
    assert read.engine == EngineConfig("datafusion", 4 << 30, 8, 8192, 60.0, False)
    assert read.session == SessionConfig("UTC", "2026-01-01T00:00:00Z", "lake", "shop", "/etc/lake/state/consumers.db", 1.0)
    assert read.reader == ReaderConfig(256 << 20, 2 << 30, "/var/cache/lakesql", 1 << 30, {"delta": {"key": "value"}})
    assert read.source == FILE


def test_an_empty_file_is_the_defaults() -> None:
    assert dataclasses.replace(parse("", FILE), source=None) == Config()


def concrete(key: str) -> str:
    names = {"NAME": "lake", "SCHEMA": "shop", "TABLE": "orders", "FORMAT": "delta", "KEY": "anything", "URL": '"s3://b"'}
    return re.sub("|".join(names), lambda m: names[m[0]], key) if not key.startswith("storage.") else key


@pytest.mark.parametrize("key", list(config.KEYS))
def test_every_documented_key_is_known(key: str) -> None:
    """Known: a wrong value of it is refused for its value, or it is taken."""
    assert config.KEYS[key]
    if key.startswith("storage."):
        kinds = [k for k in OPTIONS if key.rsplit(".", 1)[-1] in OPTIONS[k]]
        urls = {Kind.S3: "s3://b", Kind.GCS: "gs://b", Kind.AZURE: "az://b"}
        for kind in kinds:
            option = key.rsplit(".", 1)[-1]
            assert option in parse(f'[storage."{urls[kind]}"]\n{option} = {"true" if option in FLAGS else chr(39) + "x" + chr(39)}', FILE).storage[0].options
        return
    text = f"{concrete(key)} = {{}}" if key.endswith("options") else f"{concrete(key)} = []"
    if key.rsplit(".", 1)[-1] in ICEBERG_KEYS:
        text = f"catalogs.lake.type = 'rest'\n{text}"
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    assert "unknown key" not in str(caught.value)


ICEBERG_KEYS = {"uri", "warehouse", "credential", "token", "name", "properties"}
"""Keys of Iceberg catalogs alone."""


def test_every_known_key_is_documented() -> None:
    fields = {
        "engine": {"name", "memory_limit", "target_partitions", "batch_size", "timeout", "allow_write"},
        "session": {"time_zone", "as_of", "catalog", "schema", "consumers", "poll_interval"},
        "reader": {"metadata_cache", "metadata_file_limit", "metadata_folder", "metadata_folder_size", *TITLES},
        "catalogs.lake": {"type", "path", "schema", "format", "tables"},
        "tables.t": {"path", "format", "options"},
    }
    with pytest.raises(ConfigError) as caught:
        parse("[catalogs.prod]\ntype = 'glue'\nq = 1", FILE)
    assert f"there are: {', '.join(sorted(ICEBERG_KEYS | {'type', 'schema'}))}" in str(caught.value)
    assert all(f"catalogs.NAME.{key}" in config.KEYS for key in ICEBERG_KEYS)
    for section, keys in fields.items():
        with pytest.raises(ConfigError) as caught:
            parse(f"[{section}]\nq = 1", FILE)
        assert f"there are: {', '.join(sorted(keys))}" in str(caught.value)
        pattern = {"catalogs.lake": "catalogs.NAME", "tables.t": "tables.TABLE"}.get(section, section)
        for key in keys - {"tables"} - set(TITLES):
            assert f"{pattern}.{key}" in config.KEYS
    for kind in OPTIONS:
        for option in OPTIONS[kind]:
            assert f"storage.URL.{option}" in config.KEYS


def test_the_formats_a_file_may_name_are_the_formats_there_are() -> None:
    assert tuple(TITLES) == config.FORMAT_NAMES


# Mistakes ----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "line", "hint"),
    [
        ("[engine]\n\nmemroy_limit = 3", 'unknown key "memroy_limit" in [engine]', 3, 'did you mean "memory_limit"?'),
        ("# a comment\n[enginee]\nname = 'x'", 'unknown key "enginee"', 2, 'did you mean "engine"?'),
        ("engine.memroy_limit = 3", 'unknown key "memroy_limit"', 1, "memory_limit"),
        ("engine = { name = 'x', tiemout = 3 }", 'unknown key "tiemout"', 1, "timeout"),
        ("[catalogs.lake]\npath = 'x'\n[catalogs.lake.tables.shop.orders]\npath = 'y'\nformt = 'delta'", 'unknown key "formt"', 5, "format"),
        ("[catalogs.'my lake']\npath = 'x'\nfoo = 1", 'unknown key "foo" in [catalogs."my lake"]', 3, "there are"),
        ("[tables]\na = 'x'\nb = { path = 'y', fromat = 'delta' }", 'unknown key "fromat" in [tables.b]', 3, "format"),
        ("[tables]\na = 3", "a must be a table", 2, None),
        ("[tables.a]\nformat = 'delta'", "[tables.a] a table needs a path", 1, None),
        ("[tables.a]\npath = ''", "path must be a text", 2, None),
        ("[tables.a]\npath = 'x'\nformat = 'detla'", 'not "detla"', 3, 'did you mean "delta"?'),
        ("[tables.a]\npath = 'x'\noptions = { k = [1] }", "k must be a text, a number", 3, None),
        ("[catalogs.a]\ntype = 'directory'", "needs a path", 1, None),
        ("[catalogs.a]\ntype = 'tables'\npath = 'x'", "has no path", 3, None),
        ("[catalogs.a]\ntype = 'nessie'", 'not "nessie"', 2, "directory"),
        ("[catalogs.a]\ntype = 'hive'", "a catalog of type hive needs a uri", 1, None),
        ("[catalogs.a]\ntype = 'rest'\nuri = 'http://x'\npath = 'y'", 'unknown key "path"', 4, "there are"),
        ("[catalogs.a]\ntype = 'rest'\nuri = 'http://x'\n[catalogs.a.properties]\nuri = 'http://y'", "uri is given twice", 5, None),
        ("[catalogs.a]\ntype = 'glue'\n[catalogs.a.properties]\ns3.endpoint = [1]", "endpoint must be a text", 4, None),
        ("catalogs = 3", "catalogs must be a table", 1, None),
        ("[storage.'s3://b']\nregoin = 'x'", 'unknown key "regoin" in [storage."s3://b"]', 2, "region"),
        ("[storage.'s3://b']\nregion = 3", "region must be a text", 2, None),
        ("[storage.'s3://b']\nallow_http = 'yes'", "allow_http must be true or false", 2, None),
        ("[storage.'gs://b']\nregion = 'x'", 'unknown key "region"', 2, "service_account"),
        ("[storage.'s3://b/k']\nregion = 'x'", "options are those of a whole bucket", 1, 's3://b"'),
        ("[tables.a]\npath = 'a\\u0000'".replace("'", '"'), "is no path", 2, None),
        ("[storage.bucket]\nregion = 'x'", '"bucket" is no store', 1, "s3://bucket"),
        ("[engine]\nmemory_limit = '4 gigs'", 'memory_limit must be a size such as "4GB"', 2, None),
        ("[engine]\nmemory_limit = -1", "memory_limit must be a size", 2, None),
        ("[engine]\ntarget_partitions = 0", "whole number from 1", 2, None),
        ("[engine]\nbatch_size = true", "whole number from 1", 2, None),
        ("[engine]\ntimeout = 0", "seconds above 0", 2, None),
        ("[engine]\ntimeout = inf", "seconds above 0", 2, None),
        ("[engine]\nallow_write = 1", "true or false", 2, None),
        ("[session]\ntime_zone = 3", "time_zone must be a text", 2, None),
        ("[reader.delat]\nx = 1", 'unknown key "delat"', 1, 'did you mean "delta"?'),
        ("[reader]\ndelta = 3", "delta must be a table: [reader.delta]", 2, None),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_the_nearest_name(text: str, message: str, line: int, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    assert message in str(caught.value)
    assert f"{FILE}, line {line}: " in str(caught.value)
    if hint is not None:
        assert hint in str(caught.value)


@pytest.mark.parametrize("text", ["x = ", "[a\n", "a = 1\na = 2", "[engine]\nname = 'x", "\x00"])
def test_what_is_not_toml_says_so(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(FILE)):
        parse(text, FILE)


def test_a_key_inside_a_text_is_not_taken_for_the_key() -> None:
    text = '[session]\nas_of = "bad = 1"\n[engine]\nbad = 1\n'
    with pytest.raises(ConfigError, match="line 4"):
        parse(text, FILE)


def test_secrets_do_not_show_in_errors_and_texts() -> None:
    read = parse("[storage.'s3://b']\nsecret_access_key = 'hunter2hunter2'\nregion = 'eu'", FILE)
    assert "hunter2" not in repr(read)
    assert "eu" in repr(read)
    for wrong in ("[storage.'s3://b']\nsecret_acces_key = 'hunter2hunter2'", "[storage.'s3://user:hunter2@b']\nregion = 'x'"):
        with pytest.raises(ConfigError) as caught:
            parse(wrong, FILE)
        assert "hunter2" not in str(caught.value)
        assert FILE in str(caught.value)


# Values ------------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("0", 0),
        ("1000", 1000),
        ("'1000'", 1000),
        ("'4GB'", 4 << 30),
        ("'4 GiB'", 4 << 30),
        ("'1.5g'", 3 << 29),
        ("'512kb'", 512 << 10),
        ("'2 MB'", 2 << 20),
        ("'1tb'", 1 << 40),
    ],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert parse(f"[engine]\nmemory_limit = {text}", FILE).engine.memory_limit_bytes == bytes_


@pytest.mark.parametrize(
    ("text", "as_of"),
    [
        ("'2026-01-01'", "2026-01-01"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00+00:00"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01 10:00:00", "2026-01-01T10:00:00"),
    ],
)
def test_instants_may_be_toml_s_own(text: str, as_of: str) -> None:
    assert parse(f"[session]\nas_of = {text}", FILE).session.as_of == as_of


def test_paths_are_relative_to_the_file() -> None:
    read = parse("[tables]\na = '../a'\nb = 's3://b/x/'\nc = 'file:///c%20d'\n[storage.'gs://b']\nservice_account = 'key.json'\n", FILE)
    assert {name: table.path for name, table in read.tables.items()} == {"a": "/etc/a", "b": "s3://b/x", "c": "/c d"}
    assert dict(read.storage[0].options) == {"service_account": "/etc/lake/key.json"}
    files = parse("[storage.'s3://b']\nsecret_access_key = 'file:s/key'\naccess_key_id = 'env:K'", FILE).storage[0].options
    assert dict(files) == {"secret_access_key": "file:/etc/lake/s/key", "access_key_id": "env:K"}


@pytest.mark.parametrize(
    ("url", "store"),
    [("s3a://b", "s3://b"), ("s3://", "s3://"), ("s3n://", "s3://"), ("abfss://c@acme.dfs.core.windows.net", "az://acme.c"), ("gcs://b", "gs://b")],
)
def test_stores_have_one_name(url: str, store: str) -> None:
    assert parse(f"[storage.'{url}']", FILE).storage[0].url == store


# Finding -----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A configuration file at each place that is looked at, the working directory being `here`."""
    files = {
        name: tmp_path / name for name in ("given.toml", "variable.toml", "here/lakesql.toml", "xdg/lakesql/config.toml", "home/.config/lakesql/config.toml")
    }
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("[catalogs.lake]\npath = '.'\n[engine]\nbatch_size = 7\n[session]\nas_of = '2026-01-01'\ntime_zone = 'Asia/Tokyo'")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("LAKESQL_CONFIG", str(files["variable.toml"]))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return files


def test_the_first_file_in_the_order_wins_and_is_named(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(path=places["given.toml"]).source == str(places["given.toml"])
    assert find().source == str(places["variable.toml"])
    monkeypatch.delenv("LAKESQL_CONFIG")
    assert find().source == str(places["here/lakesql.toml"])
    assert find(start="..").source == str(places["xdg/lakesql/config.toml"])
    places["here/lakesql.toml"].unlink()
    assert find().source == str(places["xdg/lakesql/config.toml"])
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert find().source == str(places["home/.config/lakesql/config.toml"])
    places["home/.config/lakesql/config.toml"].unlink()
    assert find() == Config()


def test_a_file_that_was_named_must_be_there(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places["variable.toml"].unlink()
    with pytest.raises(ConfigError, match=r"there is no configuration file .*variable\.toml"):
        find()
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml"):
        load(tmp_path / "binary.toml")


def test_a_target_s_own_file_wins_over_the_one_found(places: dict[str, Path]) -> None:
    here = places["here/lakesql.toml"]
    assert own_file(here) == own_file(here.parent) == str(here)
    assert own_file("s3://bucket/lakesql.toml") is None
    assert own_file(here.parent.parent) is None
    assert load_config(here).source == load_config(here.parent).source == str(here)
    with pytest.raises(ConfigError, match="two configurations"):
        load_config(here, places["given.toml"])
    assert load_config(here.parent, places["given.toml"]).source == str(places["given.toml"])
    assert load_config(here, here).source == str(here)


def test_a_session_on_another_target_takes_only_stores_engine_and_time_zone_from_what_was_found(places: dict[str, Path], tmp_path: Path) -> None:
    found = load_config(tmp_path / "some/table")
    assert found.source == str(places["variable.toml"])
    assert (found.catalogs, dict(found.tables)) == ((), {})
    assert found.session == SessionConfig(time_zone="Asia/Tokyo")
    assert found.engine.batch_size == 7
    assert load_config().session.as_of == "2026-01-01"
    assert load_config(config=found) is found


@pytest.mark.parametrize("attribute", ["catalogs", "engine", "source"])
def test_a_configuration_is_frozen(attribute: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Config(), attribute, None)


def test_a_default_catalog_that_is_not_there_is_an_error() -> None:
    read: Any = parse("[catalogs.lake]\ntype = 'tables'\n[session]\ncatalog = 'laek'", FILE)
    with pytest.raises(ConfigError, match='default catalog "laek" is not there') as caught:
        Catalogs.for_target(None, config=read)
    assert 'did you mean "lake"?' in str(caught.value)


# Iceberg catalogs --------------------------------------------------------------------------------------------------------------------------------------


def test_properties_of_iceberg_catalogs() -> None:
    text = """[catalogs.a]
type = "SQL"
uri = "sqlite:///db/books.db?timeout=3"
name = "default"
schema = "shop"
[catalogs.a.properties]
s3.endpoint = "http://x"
"s3.region" = "eu"
rest.sigv4-enabled = true
password = "file:secret.txt"
"""
    (read,) = parse(text, FILE).catalogs
    assert (read.type, read.schema, read.remote_name) == ("sql", "shop", "default")
    assert dict(read.properties) == {
        "uri": "sqlite:////etc/lake/db/books.db?timeout=3",
        "s3.endpoint": "http://x",
        "s3.region": "eu",
        "rest.sigv4-enabled": "true",
        "password": "file:/etc/lake/secret.txt",
    }
    for uri in ("sqlite:////abs/x.db", "sqlite:///:memory:", "postgresql+psycopg2://u:p@h/d"):
        assert parse(f"[catalogs.a]\ntype = 'sql'\nuri = '{uri}'", FILE).catalogs[0].properties["uri"] == uri


def test_secrets_of_iceberg_catalogs_do_not_show() -> None:
    text = """[catalogs.a]
type = "rest"
uri = "https://user:hidden%2Fone@host/path"
credential = "client-id:hidden-two"
token = "hidden-three"
properties = { header.X-Key = "hidden-four" }
"""
    read = parse(text, FILE)
    assert "hidden" not in repr(read)
    assert "warehouse" not in repr(read)
    properties = read.catalogs[0].properties
    said = "hidden/one hidden%2Fone hidden-two hidden-three hidden-four client-id:hidden-two https://user:hidden%2Fone@host/path"
    assert "hidden" not in properties.masked(said)
    assert "host/path" in properties.masked(said)
