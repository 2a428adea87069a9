"""Names and paths to tables: directories, lists, targets, and what is said about names nobody knows."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lakesql import formats, sample
from lakesql.catalogs import Catalogs, TableEntry
from lakesql.catalogs.config import ConfigCatalog, CorrectedCatalog
from lakesql.catalogs.directory import DirectoryCatalog
from lakesql.config import Config, load, parse
from lakesql.errors import (
    AmbiguousTableError,
    ConfigError,
    NotATableError,
    SqlError,
    StorageError,
    UnknownTableError,
    UnsupportedFeatureError,
)
from lakesql.storage import LocalStorage, MemoryStorage, Storage
from lakesql.stores import Stores

LOG = "_delta_log/00000000000000000000.json"
LAKE = [
    f"items/{LOG}",
    f"items/inner/{LOG}",
    f"shop/orders/{LOG}",
    "shop/carts/schema/schema-0",
    "crm.db/people/metadata/v1.metadata.json",
    "vectors.lance/_versions/1.manifest",
    f"_staging/{LOG}",
    f".trash/{LOG}",
    f"shop/_tmp/{LOG}",
    "plain/data/x.parquet",
    "readme.txt",
]


def memory(paths: Iterable[str], root: str = "/lake") -> MemoryStorage:
    return MemoryStorage({f"{root}/{path}": b"{}" for path in paths})


def lake(*more: str, **options: Any) -> DirectoryCatalog:
    return DirectoryCatalog("lake", memory([*LAKE, *more]), "/lake", **options)


def on_disk(root: Path, paths: Iterable[str]) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}")
    return root


def found(catalog: Any) -> dict[str, str | None]:
    return {f"{e.schema}.{e.name}": e.format for e in catalog.tables()}


# A directory -------------------------------------------------------------------------------------------------------------------------------------------


def test_a_directory_lists_its_tables_and_those_of_its_schemas() -> None:
    assert found(lake()) == {"crm.people": "iceberg", "default.items": "delta", "shop.carts": "paimon", "shop.orders": "delta", "default.vectors": "lance"}
    assert {e.name: e.location for e in lake().tables()}["people"] == "/lake/crm.db/people"


def test_a_table_is_not_looked_into_and_no_data_is_listed() -> None:
    storage = memory(LAKE)
    list(DirectoryCatalog("lake", storage, "/lake").tables())
    assert storage.reads == {}
    assert "/lake/items" not in storage.lists
    assert "/lake/plain/data" not in storage.lists


def test_listing_is_lazy() -> None:
    storage = memory([f"t{n:03}/{LOG}" for n in range(100)])
    assert next(DirectoryCatalog("lake", storage, "/lake").tables()).name == "t000"
    assert sum(storage.lists.values()) < 10


def test_a_table_under_its_exact_name_is_found_without_listing_the_directory() -> None:
    storage = memory(LAKE)
    catalog = DirectoryCatalog("lake", storage, "/lake")
    for schema, name in (("default", "items"), ("shop", "orders"), ("crm", "people"), ("default", "vectors")):
        entry = catalog.find(schema, name)
        assert entry is not None
        assert (entry.schema, entry.name) == (schema, name)
    assert not {"/lake", "/lake/shop", "/lake/crm.db"} & set(storage.lists)


def test_names_match_in_any_case_where_that_leaves_one() -> None:
    for schema, name, location in (("DEFAULT", "Items", "items"), ("Shop", "ORDERS", "shop/orders"), ("CRM", "People", "crm.db/people"), ("x", "y", None)):
        entry = lake().find(schema, name)
        assert (entry and entry.location) == (location and f"/lake/{location}")
    assert lake().find("default", "VECTORS") == lake().find("default", "vectors")
    twice = lake(f"Items/{LOG}", f"SHOP/orders/{LOG}")
    assert twice.find("default", "Items").location == "/lake/Items"  # type: ignore[union-attr]
    with pytest.raises(SqlError) as caught:
        twice.find("default", "ITEMS")
    assert caught.value.candidates == ("lake.default.Items", "lake.default.items")
    with pytest.raises(SqlError, match=r"lake\.SHOP\.orders or lake\.shop\.orders"):
        twice.find("Shop", "orders")


@pytest.mark.parametrize("name", ["", "..", ".", "../lake/items", "shop/orders", "/lake/items", "_staging", ".trash", "a\\b", "a\0b"])
def test_no_name_leads_out_of_the_directory_or_to_what_is_hidden(name: str) -> None:
    assert lake().find("default", name) is None
    assert lake().find(name, "items") is None
    assert lake().find(name, name) is None


def test_a_format_that_is_said_is_the_only_one_looked_for() -> None:
    both = [f"copy/{LOG}", "copy/.hoodie/hoodie.properties"]
    assert found(lake(*both))["default.copy"] is None
    assert found(lake(*both, format="hudi")) == {"default.copy": "hudi"}
    assert found(lake(*both, format="delta"))["default.copy"] == "delta"


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"items/{LOG}", "sub/readme"])
    (tmp_path / "sub/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    catalog = DirectoryCatalog("lake", LocalStorage(), str(tmp_path))
    assert found(catalog) == {"again.items": "delta", "default.items": "delta"}


def test_a_linked_table_is_a_table(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"elsewhere/t/{LOG}"])
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/linked").symlink_to(tmp_path / "elsewhere/t", target_is_directory=True)
    assert found(DirectoryCatalog("lake", LocalStorage(), str(tmp_path / "lake"))) == {"default.linked": "delta"}


def test_a_directory_that_may_not_be_read_is_an_error() -> None:
    storage = memory(LAKE)
    storage.denied.add("/lake")
    with pytest.raises(StorageError, match="/lake"):
        list(DirectoryCatalog("lake", storage, "/lake").tables())


# A list ------------------------------------------------------------------------------------------------------------------------------------------------


def test_a_list_is_found_by_exact_name_then_in_any_case() -> None:
    catalog = ConfigCatalog("crm", [TableEntry("s", "People", "/p"), TableEntry("s", "orders", "/o"), TableEntry("s", "ORDERS", "/O")])
    assert catalog.default_schema == "s"
    assert catalog.find("S", "people") == TableEntry("s", "People", "/p")
    assert catalog.find("s", "ORDERS") == TableEntry("s", "ORDERS", "/O")
    assert catalog.find("s", "x") is catalog.find("x", "People") is None
    with pytest.raises(SqlError, match=r"crm\.s\.ORDERS or crm\.s\.orders"):
        catalog.find("s", "Orders")


def test_default_schemas_of_lists() -> None:
    assert ConfigCatalog("c", []).default_schema is None
    assert ConfigCatalog("c", [TableEntry("a", "t", "/"), TableEntry("b", "t", "/")]).default_schema is None
    assert ConfigCatalog("c", [TableEntry("a", "t", "/"), TableEntry("default", "t", "/")]).default_schema == "default"
    assert ConfigCatalog("c", [], "x").default_schema == "x"


def test_what_is_said_by_hand_corrects_the_directory() -> None:
    catalog = CorrectedCatalog(lake(), ConfigCatalog("lake", [TableEntry("shop", "orders", "/other", "hudi"), TableEntry("new", "t", "/t")]))
    listed = found(catalog)
    assert listed["shop.orders"] == "hudi"
    assert len(listed) == 6
    assert sum(e.name == "orders" for e in catalog.tables()) == 1
    assert catalog.find("shop", "orders").location == "/other"  # type: ignore[union-attr]
    assert catalog.find("SHOP", "Carts").location == "/lake/shop/carts"  # type: ignore[union-attr]
    assert (catalog.name, catalog.default_schema) == ("lake", "default")


# Names -------------------------------------------------------------------------------------------------------------------------------------------------


def catalogs(**options: Any) -> Catalogs:
    crm = ConfigCatalog("crm", [TableEntry("shop", "orders", "/crm/orders"), TableEntry("shop", "leads", "/crm/leads")])
    given = {"t": TableEntry("", "t", "/given/t"), "items": TableEntry("", "items", "/given/items")}
    return Catalogs(MemoryStorage(), [lake(), crm], given, **options)


@pytest.mark.parametrize(
    ("name", "location"),
    [
        ("t", "/given/t"),
        ("T", "/given/t"),
        ("items", "/given/items"),
        ("leads", "/crm/leads"),
        ("people", "/lake/crm.db/people"),
        ("shop.leads", "/crm/leads"),
        ("shop.carts", "/lake/shop/carts"),
        ("lake.items", "/lake/items"),
        ("LAKE.Items", "/lake/items"),
        ("crm.leads", "/crm/leads"),
        ("lake.shop.orders", "/lake/shop/orders"),
        ("crm.shop.orders", "/crm/orders"),
        ("Crm.Shop.Orders", "/crm/orders"),
        ("default.items", "/lake/items"),
    ],
)
def test_names_of_one_to_three_parts(name: str, location: str) -> None:
    assert catalogs().find(name.split(".")).location == location


def test_a_default_catalog_and_schema_are_looked_in_first() -> None:
    assert catalogs(default_catalog="crm").find(["orders"]).location == "/crm/orders"
    assert catalogs(default_catalog="lake", default_schema="shop").find(["orders"]).location == "/lake/shop/orders"
    assert catalogs(default_catalog="lake").find(["shop", "orders"]).location == "/lake/shop/orders"
    assert catalogs(default_catalog="lake").find(["carts"]).location == "/lake/shop/carts"
    with pytest.raises(UnknownTableError):
        catalogs(default_catalog="lake").find(["shop", "leads"])


@pytest.mark.parametrize("name", ["orders", "ORDERS", "shop.orders"])
def test_a_name_of_several_tables_is_an_error_that_lists_them(name: str) -> None:
    with pytest.raises(SqlError) as caught:
        catalogs().find(name.split("."))
    assert not isinstance(caught.value, UnknownTableError)
    assert caught.value.candidates == ("crm.shop.orders", "lake.shop.orders")
    assert "crm.shop.orders or lake.shop.orders" in str(caught.value)


def test_an_exact_name_wins_over_one_in_another_case() -> None:
    both = [ConfigCatalog("a", [TableEntry("s", "Orders", "/a")]), ConfigCatalog("b", [TableEntry("s", "orders", "/b")])]
    assert Catalogs(MemoryStorage(), both).find(["orders"]).location == "/b"
    with pytest.raises(SqlError, match="could be"):
        Catalogs(MemoryStorage(), both).find(["ORDERS"])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("itmes", 'did you mean "items"?'),
        ("lake.itmes", 'did you mean "lake.items"?'),
        ("lake.shop.ordrs", 'did you mean "lake.shop.orders"?'),
        ("shop.cart", 'did you mean "shop.carts"?'),
        ("some/dir", "a path is written in single quotes: 'some/dir'"),
        ("zzz", "there are: "),
    ],
)
def test_an_unknown_name_says_what_it_may_have_been(name: str, hint: str) -> None:
    with pytest.raises(UnknownTableError, match=f'there is no table "{name}"') as caught:
        catalogs().find(name.split("."))
    assert hint in str(caught.value)
    assert caught.value.candidates


def test_without_any_catalog_the_error_says_how_to_name_a_table() -> None:
    with pytest.raises(UnknownTableError, match="no catalog is configured"):
        Catalogs(MemoryStorage()).find(["t"])


def test_a_schema_of_several_levels_is_named_level_by_level() -> None:
    deep = ConfigCatalog("deep", [TableEntry("a.b.c", "t", "/deep/t")])
    made = Catalogs(MemoryStorage(), [deep])
    for parts in (["deep", "a", "b", "c", "t"], ["deep", "a.b.c", "t"], ["a", "b", "c", "t"], ["A", "B", "C", "T"]):
        assert made.find(parts).location == "/deep/t"
    with pytest.raises(UnknownTableError, match=r'"deep\.a\.b\.t"'):
        made.find(["deep", "a", "b", "t"])
    with pytest.raises(SqlError, match="at least one part"):
        made.find([])


def test_a_path_with_its_format_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert catalogs().find(["Delta", "some/dir"]) == TableEntry("", "some/dir", str(tmp_path / "some/dir"), "delta")
    named_so = Catalogs(MemoryStorage(), [ConfigCatalog("delta", [TableEntry("s", "t", "/t")])])
    assert named_so.find(["delta", "t"]).location == "/t"
    with pytest.raises(UnknownTableError):
        named_so.find(["delta", "x"])


def test_every_table_is_listed_with_its_catalog() -> None:
    listed = [(catalog, e.name) for catalog, e in catalogs().tables()]
    assert listed[:2] == [("", "t"), ("", "items")]
    assert ("crm", "leads") in listed
    assert ("lake", "vectors") in listed
    assert len(listed) == 2 + 5 + 2


# Opening -----------------------------------------------------------------------------------------------------------------------------------------------


class DoubleTable:
    def __init__(self, location: str, format: str, options: Mapping[str, str]) -> None:
        self.location, self.format, self.options = location, format, dict(options)


class DoubleFormat:
    """A reader that only remembers what it was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self, storage: Storage, location: str, options: Mapping[str, str]) -> DoubleTable:
        return DoubleTable(location, self.name, options)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "load", DoubleFormat)


@pytest.mark.usefixtures("double")
def test_a_table_is_opened_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(tmp_path, [f"lake/a b/{LOG}"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    opened = Catalogs(LocalStorage())
    table = opened.open_path("lake/a b")
    same = [tmp_path / "lake/a b", f"file://{tmp_path}/lake/a%20b", "~/lake/a b", "lake/../lake/a b/", "./lake//a b"]
    assert all(opened.open_path(path) is table for path in same)
    assert (table.location, table.format) == (str(tmp_path / "lake/a b"), "delta")


@pytest.mark.usefixtures("double")
def test_a_format_that_is_said_wins(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"t/{LOG}", "t/.hoodie/hoodie.properties"])
    opened = Catalogs(LocalStorage())
    with pytest.raises(AmbiguousTableError):
        opened.open_path(tmp_path / "t")
    assert opened.open_path(tmp_path / "t", "Hudi").format == "hudi"
    assert opened.resolve(["delta", f"{tmp_path}/t"]).format == "delta"
    with pytest.raises(ConfigError, match="detla"):
        opened.open_path(tmp_path / "t", "detla")


@pytest.mark.usefixtures("double")
def test_reader_options_come_from_the_format_then_from_the_table(tmp_path: Path) -> None:
    text = """
    [reader.delta]
    a = 1
    b = "format's"
    [tables.t]
    path = "t"
    options = { b = "table's", c = true }
    [tables.u]
    path = "t"
    """
    on_disk(tmp_path, [f"t/{LOG}"])
    opened = Catalogs.for_target(config=parse(text, str(tmp_path / "lakesql.toml")))
    table: Any = opened.resolve(["t"])
    assert table.options == {"a": "1", "b": "table's", "c": "true"}
    other: Any = opened.resolve(["u"])
    assert other.options == {"a": "1", "b": "format's"}


@pytest.mark.usefixtures("double")
def test_a_local_table_made_anew_in_another_format_is_noticed(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"lake/t/{LOG}"])
    opened = Catalogs.for_target("lake")
    assert opened.resolve(["t"]).format == opened.open_path("lake/t").format == "delta"
    shutil.rmtree(tmp_path / "lake/t")
    on_disk(tmp_path, ["lake/t/.hoodie/hoodie.properties"])
    assert opened.resolve(["t"]).format == opened.open_path("lake/t").format == "hudi"


@pytest.mark.usefixtures("double")
def test_names_in_object_stores_are_remembered_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    storage = memory([f"orders/{LOG}"], root="s3://b/lake")
    opened = Catalogs(storage, [DirectoryCatalog("lake", storage, "s3://b/lake")])
    sizes: list[str] = []
    monkeypatch.setattr(storage, "size", lambda path, ask=storage.size: sizes.append(path) or ask(path))
    table = opened.resolve(["orders"])
    by_path = opened.open_path("s3://b/lake/orders")
    asked = len(sizes)
    assert asked
    now[0] += 59
    assert opened.resolve(["orders"]) is table
    assert opened.open_path("s3://b/lake/orders") is by_path is table
    assert len(sizes) == asked
    now[0] += 2
    assert opened.resolve(["orders"]) is table
    assert len(sizes) > asked
    with pytest.raises(UnknownTableError):
        opened.resolve(["new"])
    storage.files[f"s3://b/lake/new/{LOG}"] = b"{}"
    assert opened.resolve(["new"]).location == "s3://b/lake/new"


@pytest.mark.usefixtures("double")
def test_only_so_many_tables_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakesql.catalogs._KEPT_TABLES", 2)
    opened = Catalogs(memory([f"{name}/{LOG}" for name in "abc"]))
    first = opened.open_path("/lake/a")
    assert opened.open_path("/lake/a") is first
    opened.open_path("/lake/b")
    assert opened.open_path("/lake/a") is first
    opened.open_path("/lake/c")
    assert opened.open_path("/lake/a") is first
    assert len(opened._open) == 2


def test_a_table_of_a_format_without_a_reader_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.FORMATS, "paimon", "lakesql.formats.not_there_yet")
    with pytest.raises(UnsupportedFeatureError, match="Apache Paimon"):
        Catalogs.for_target(sample.lake(), config=load(sample.lake() / "lakesql.toml")).resolve(["users"])


def test_a_missing_path_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotATableError, match="there is nothing at this place"):
        Catalogs(LocalStorage()).open_path(tmp_path / "nowhere")


# Targets -----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_configuration_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKESQL_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.chdir(tmp_path)


def test_no_target_and_no_configuration_leave_paths_and_given_names(tmp_path: Path) -> None:
    made = Catalogs.for_target(tables={"t": "some/dir", "u": tmp_path / "x"})
    assert [(c, e.name, e.location) for c, e in made.tables()] == [("", "t", str(tmp_path / "some/dir")), ("", "u", str(tmp_path / "x"))]
    assert made.config == Config()


def test_a_directory_of_tables_is_the_catalog_lake(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"l/{path}" for path in LAKE])
    made = Catalogs.for_target("l", {"mine": "elsewhere"})
    assert made.find(["items"]).location == made.find(["lake", "default", "items"]).location == str(tmp_path / "l/items")
    assert made.find(["mine"]).location == str(tmp_path / "elsewhere")
    assert isinstance(made.storage.inner, Stores)  # type: ignore[attr-defined]


def test_a_table_is_named_as_its_directory_and_t(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"orders/{LOG}", "v.lance/_versions/1.manifest"])
    made = Catalogs.for_target("orders/")
    assert made.find(["t"]).location == made.find(["orders"]).location == str(tmp_path / "orders")
    assert Catalogs.for_target(tmp_path / "v.lance").find(["v"]).location == str(tmp_path / "v.lance")
    assert Catalogs.for_target("orders", {"t": "other"}).find(["t"]).location == str(tmp_path / "other")


def test_a_configuration_file_or_its_directory(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"conf/data/{path}" for path in LAKE])
    (tmp_path / "conf/lakesql.toml").write_text("[catalogs.sales]\npath = 'data'\nschema = 'main'\n[tables]\nx = 'data/items'\n[session]\nschema = 'shop'")
    for target in ("conf", "conf/lakesql.toml", tmp_path / "conf"):
        made = Catalogs.for_target(target)
        assert made.config.source == str(tmp_path / "conf/lakesql.toml")
        assert made.find(["sales", "main", "items"]).location == made.find(["x"]).location == str(tmp_path / "conf/data/items")
        assert made.find(["orders"]).location == str(tmp_path / "conf/data/shop/orders")
    (tmp_path / "lakesql.toml").write_text("[catalogs.here]\npath = 'conf/data'")
    assert Catalogs.for_target().find(["here", "items"]).name == "items"


def test_what_was_found_gives_no_names_to_another_target_but_what_was_given_does(tmp_path: Path) -> None:
    on_disk(tmp_path, [f"a/t1/{LOG}", f"b/t2/{LOG}"])
    (tmp_path / "lakesql.toml").write_text("[catalogs.b]\npath = 'b'\n[tables]\nx = 'b/t2'\n[engine]\nbatch_size = 7")
    alone = Catalogs.for_target("a")
    assert [e.name for _, e in alone.tables()] == ["t1"]
    assert alone.config.engine.batch_size == 7
    beside = Catalogs.for_target("a", config="lakesql.toml")
    assert [(c, e.name) for c, e in beside.tables()] == [("", "x"), ("lake", "t1"), ("b", "t2")]
    assert beside.find(["b", "t2"]).location == str(tmp_path / "b/t2")
    assert beside.find(["default", "t1"]).location == str(tmp_path / "a/t1")


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("nowhere", NotATableError, "there is nothing at this place"),
        ("empty", NotATableError, "it is empty"),
        ("plain", NotATableError, "it has data.csv, sub/"),
        ("plain/data.csv", NotATableError, "it is a file"),
        ("nowhere.toml", ConfigError, "there is no configuration file"),
        ("bad.toml", ConfigError, "bad.toml, line 1: unknown key"),
        ("hdfs://host/x", UnsupportedFeatureError, "hdfs://"),
        ("", ConfigError, "is no path"),
    ],
)
def test_targets_that_are_nothing_say_what_they_are(tmp_path: Path, target: str, error: type[Exception], message: str) -> None:
    on_disk(tmp_path, ["plain/data.csv", "plain/sub/x"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.toml").write_text("x = 1")
    with pytest.raises(error, match=message):
        Catalogs.for_target(target)


# The sample lake ---------------------------------------------------------------------------------------------------------------------------------------


def test_the_sample_lake_is_named_as_documented() -> None:
    made = Catalogs.for_target(sample.lake())
    story = json.loads((sample.lake() / "lake.json").read_text())
    assert {e.name: e.format for _, e in made.tables()} == {name: table["format"] for name, table in story["tables"].items()}
    for name in story["tables"]:
        expected = str(sample.lake() / name)
        for parts in ([name], ["clips", name], ["lake", name], ["lake", "clips", name], ["LAKE", "Clips", name.upper()]):
            assert made.find(parts).location == expected


def test_the_sample_lake_is_found_in_a_wheel_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(tmp_path, ["lakesql/_sample/catalog/lakesql.toml", "lakesql/_sample/queries/tour.sql"])
    monkeypatch.setattr(sample, "_PACKAGE", tmp_path / "lakesql")
    assert sample.lake() == tmp_path / "lakesql/_sample/catalog"
    assert sample.queries() == tmp_path / "lakesql/_sample/queries"
    monkeypatch.setattr(sample, "_PACKAGE", tmp_path / "other")
    with pytest.raises(ConfigError, match="no sample lake"):
        sample.lake()
