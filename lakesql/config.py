"""lakesql.toml: catalogs, tables, stores, the engine, the session. Read whole, checked whole; a key nobody knows is an error that says where it is.

    [catalogs.lake]                         # a directory of tables
    type = "directory"
    path = "lake"                           # relative paths are relative to this file
    schema = "shop"                         # what tables directly below it are under; default "default"
    format = "delta"                        # of all its tables; default: recognised by marker files

    [catalogs.lake.tables.shop.orders]      # one table, said or corrected by hand
    path = "s3://bucket/orders"
    format = "iceberg"
    options = { key = "value" }             # for the format's reader

    [catalogs.crm]                          # no directory: the tables listed, and no others
    type = "tables"

    [catalogs.prod]                         # an Iceberg catalog: rest, sql, hive or glue
    type = "rest"
    uri = "https://catalog.example"
    warehouse = "prod"
    credential = "env:CATALOG_CREDENTIAL"
    properties = { "oauth2-server-uri" = "https://login.example/token" }    # whatever else pyiceberg takes

    [tables]                                # names that need no catalog
    events = "data/events"                  # or a table with path, format, options

    [storage."s3://bucket"]                 # or "s3://" for all buckets; options: store_options.OPTIONS
    secret_access_key = "env:BUCKET_SECRET" # env:NAME and file:PATH are looked up when the store is first used

    [engine]
    name = "datafusion"
    memory_limit = "4GB"
    target_partitions = 8
    batch_size = 8192
    timeout = 60                            # seconds
    allow_write = false

    [session]
    time_zone = "UTC"
    as_of = "2026-01-01T00:00:00Z"
    catalog = "lake"
    schema = "shop"
    consumers = "state/consumers.db"
    poll_interval = 1                       # seconds

    [reader]
    metadata_cache = "256MB"
    metadata_file_limit = "2GB"
    metadata_folder = "/var/cache/lakesql"
    metadata_folder_size = "1GB"

    [reader.delta]                          # options for all tables of a format
    key = "value"

`find` looks in this order and takes the first that is there: a path given, the file named by LAKESQL_CONFIG, `lakesql.toml` in the working directory,
`$XDG_CONFIG_HOME/lakesql/config.toml` (`~/.config` where that is not set). Files are never merged; `Config.source` says which one won.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lakesql.errors import ConfigError, UnsupportedFeatureError
from lakesql.location import absolute, is_local, place
from lakesql.storage import DEFAULT_FILE_LIMIT_BYTES
from lakesql.store_options import FLAGS, OPTIONS, Options, Properties
from lakesql.toml_section import Section, TomlFile

FILE_NAME = "lakesql.toml"
VARIABLE = "LAKESQL_CONFIG"

FORMAT_NAMES = ("delta", "iceberg", "paimon", "hudi", "lance")

ICEBERG_CATALOGS = ("rest", "sql", "hive", "glue")

KEYS: dict[str, str] = {
    "catalogs.NAME.type": '"directory": the tables below `path`; "tables": those listed, and no others; '
    'an Iceberg catalog: "rest", "sql", "hive", "glue". Default: "directory" where there is a path',
    "catalogs.NAME.path": "the directory",
    "catalogs.NAME.schema": 'the schema of tables directly below the directory, and the catalog\'s default schema; default "default", of Iceberg ones none',
    "catalogs.NAME.format": "the format of all its tables; default: recognised by marker files",
    "catalogs.NAME.tables.SCHEMA.TABLE.path": "where the table is",
    "catalogs.NAME.tables.SCHEMA.TABLE.format": "its format; default: recognised by marker files",
    "catalogs.NAME.tables.SCHEMA.TABLE.options": "options for the format's reader",
    "catalogs.NAME.uri": "of an Iceberg catalog: where it is, a URL as pyiceberg takes it; relative paths of SQLite files are relative to this file",
    "catalogs.NAME.warehouse": "of an Iceberg catalog: which of the server's warehouses",
    "catalogs.NAME.credential": "of a REST catalog: `id:secret`, for a token",
    "catalogs.NAME.token": "of a REST catalog: the token itself",
    "catalogs.NAME.name": "of an Iceberg catalog: what it calls itself, where that is not NAME: SQL catalogs keep several under one roof",
    "catalogs.NAME.properties": "of an Iceberg catalog: pyiceberg's other properties by their names, such as `s3.endpoint`; `env:` and `file:` are looked up",
    "tables.TABLE.path": 'where the table is; `TABLE = "path"` says the same',
    "tables.TABLE.format": "its format; default: recognised by marker files",
    "tables.TABLE.options": "options for the format's reader",
    **{f"storage.URL.{key}": f"{kind.name}: {meaning}" for kind, keys in OPTIONS.items() for key, meaning in keys.items()},
    "engine.name": 'which engine runs statements; default "datafusion"',
    "engine.memory_limit": 'memory the engine may use before it spills, in bytes or as "4GB"; default: no limit',
    "engine.target_partitions": "how many streams the engine works on at once; default: one per core",
    "engine.batch_size": "rows per batch; default 8192",
    "engine.timeout": "seconds after which a statement is stopped; default: never",
    "engine.allow_write": "whether statements may write files (COPY); default false",
    "session.time_zone": 'the time zone of timestamps without one in AS OF, and of now(); default "UTC"',
    "session.as_of": "an instant: every table is read as it was then, unless the statement says otherwise",
    "session.catalog": "the catalog of names without one; default: the only catalog",
    "session.schema": "the schema of names without one; default: the catalog's default schema",
    "session.consumers": "the file with the positions of named consumers; default `lakesql/consumers.db` in the XDG state directory",
    "session.poll_interval": "seconds between looks for new commits, in TAIL; default 1",
    "reader.metadata_cache": 'memory for metadata files that never change; default "256MB"',
    "reader.metadata_file_limit": 'no metadata file above this size is read; default "2GB"',
    "reader.metadata_folder": "a local folder for metadata files of object stores that never change, kept from one run to the next; default: none",
    "reader.metadata_folder_size": 'how much is kept there; default "1GB"',
    "reader.FORMAT.KEY": "an option for every table of a format",
    "connections.NAME.target": 'what `lakesql NAME` and `\\c NAME` open; `NAME = "target"` says the same',
    "connections.NAME.as_of": "a version or time that its tables are read at",
    "shell.expanded": 'whether the shell shows rows one below the other: "off", "on", "auto"',
    "shell.format": 'how the shell writes rows; default "table"',
    "shell.mode": 'keys for editing: "emacs" or "vi"',
    "shell.null": 'what stands for null on the shell\'s screen; default "NULL"',
    "shell.on_error": 'whether files that the shell includes go on after an error: "continue" or "stop"',
    "shell.pager": 'whether what is taller than the screen goes through $PAGER: "auto", "on", "off"',
    "shell.rows": "how many rows the shell shows; default 40",
    "shell.theme": 'the shell\'s colours: "auto", "dark", "light", "none"',
    "shell.timing": 'whether a line about time and files follows each statement: "on" or "off"',
}
"""Every key lakesql.toml knows, with its meaning; words in capitals stand for names."""


@dataclass(frozen=True)
class TableConfig:
    """A table that is named in the file. path: a location, absolute."""

    path: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CatalogConfig:
    """A catalog. type: "directory", "tables", or one of ICEBERG_CATALOGS; path: the directory's location, None for the others; schema: None for the default;
    tables: by schema and name. properties: of an Iceberg catalog, named as pyiceberg names them, values or references; remote_name: what it calls itself.
    """

    name: str
    type: str
    path: str | None = None
    schema: str | None = None
    format: str | None = None
    tables: Mapping[tuple[str, str], TableConfig] = field(default_factory=dict)
    properties: Properties = field(default_factory=Properties)
    remote_name: str | None = None


@dataclass(frozen=True)
class StorageConfig:
    """Options of one bucket (`s3://bucket`), or of all stores of a scheme (`s3://`): values, or references (`env:NAME`, `file:PATH`). Secrets do not show."""

    url: str
    options: Options


@dataclass(frozen=True)
class EngineConfig:
    """The engine and its limits; None leaves the engine's own default."""

    name: str = "datafusion"
    memory_limit_bytes: int | None = None
    target_partitions: int | None = None
    batch_size: int | None = None
    timeout_seconds: float | None = None
    allow_write: bool = False


@dataclass(frozen=True)
class SessionConfig:
    """What a session starts with. as_of: text, as a statement would give it."""

    time_zone: str = "UTC"
    as_of: str | None = None
    catalog: str | None = None
    schema: str | None = None
    consumers: str | None = None
    poll_interval_seconds: float | None = None


@dataclass(frozen=True)
class ReaderConfig:
    """Reading metadata. metadata_folder: where files that never change are kept, None for nowhere; formats: options for all tables of a format, by its
    name.
    """

    metadata_cache_bytes: int = 256 << 20
    metadata_file_limit_bytes: int = DEFAULT_FILE_LIMIT_BYTES
    metadata_folder: str | None = None
    metadata_folder_bytes: int = 1 << 30
    formats: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ConnectionConfig:
    """A name for a target. as_of: text, as --as-of takes it."""

    target: str
    as_of: str | None = None


@dataclass(frozen=True)
class ShellConfig:
    """What the shell starts with: its options by name, as text; and the targets that have names."""

    options: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, ConnectionConfig] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """A configuration file, or the defaults. source: the file, None for the defaults; relative paths in it are already absolute."""

    source: str | None = None
    catalogs: tuple[CatalogConfig, ...] = ()
    tables: Mapping[str, TableConfig] = field(default_factory=dict)
    storage: tuple[StorageConfig, ...] = ()
    engine: EngineConfig = EngineConfig()
    session: SessionConfig = SessionConfig()
    reader: ReaderConfig = ReaderConfig()
    shell: ShellConfig = ShellConfig()

    def without_names(self) -> Config:
        """The same stores, engine, reader, time zone and consumers, but no catalogs, tables, or defaults about them: for a session on another target."""
        return replace(self, catalogs=(), tables={}, session=replace(self.session, as_of=None, catalog=None, schema=None))


def load(path: str | os.PathLike[str]) -> Config:
    """The configuration in a file. Raises ConfigError, which names the file and, where it is about a key, the key and its line."""
    source = absolute(path)
    try:
        with open(source, "rb") as file:
            text = file.read().decode()
    except FileNotFoundError as error:
        raise ConfigError(f'there is no configuration file "{source}"') from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'cannot read the configuration file "{source}": {getattr(error, "strerror", None) or error}') from error
    return parse(text, source)


def parse(text: str, source: str) -> Config:
    """The configuration in a text; source: the file's absolute path, for messages and relative paths. Raises ConfigError."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: {str(error)[:1].lower()}{str(error)[1:]}", hint="the file is TOML: https://toml.io") from error
    file = TomlFile(source, text)
    root = Section(file, (), values)
    config = Config(
        source,
        tuple(_catalog(s) for s in root.sections("catalogs")),
        {s.path[-1]: _table(s) for s in root.sections("tables", shorthand="path")},
        tuple(_storage(s) for s in root.sections("storage")),
        _engine(root.section("engine")),
        _session(root.section("session")),
        _reader(root.section("reader")),
        ShellConfig(_shell(root.section("shell")), {s.path[-1]: _connection(s) for s in root.sections("connections", shorthand="target")}),
    )
    root.finish()
    return config


def find(start: str | os.PathLike[str] | None = None, path: str | os.PathLike[str] | None = None) -> Config:
    """The configuration that applies in the directory `start` (default: the working directory): see the module's text for the order. The defaults where there
    is none.
    """
    given = path if path is not None else os.environ.get(VARIABLE)
    if given:
        return load(given)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for candidate in (os.path.join(absolute(start or os.curdir), FILE_NAME), os.path.join(home, "lakesql", "config.toml")):
        if os.path.isfile(candidate):
            return load(candidate)
    return Config()


def load_config(target: str | os.PathLike[str] | None = None, config: Config | str | os.PathLike[str] | None = None) -> Config:
    """The configuration of a session on `target`.

    The one given, if one is; else the target's own (`own_file`); else the one `find` finds - but of that, a session on another target takes only the stores,
    engine, reader and time zone, and none of the names. Raises ConfigError.
    """
    if isinstance(config, Config):
        return config
    own = None if target is None else own_file(target)
    if config is not None:
        if own is not None and own == absolute(target or "") and own != absolute(config):
            raise ConfigError(f'there are two configurations: the target "{own}" and "{absolute(config)}"', hint="give one of them")
        return load(config)
    if own is not None:
        return load(own)
    found = find()
    return found if target is None else found.without_names()


def own_file(target: str | os.PathLike[str]) -> str | None:
    """The configuration file a target is, or a directory holds as lakesql.toml; None for a target that is tables."""
    location = absolute(target)
    if not is_local(location):
        return None
    inside = os.path.join(location, FILE_NAME)
    if os.path.isfile(inside):
        return inside
    return location if location.endswith(".toml") and not os.path.isdir(location) else None


# The sections ------------------------------------------------------------------------------------------------------------------------------------------


def _catalog(section: Section) -> CatalogConfig:
    kind = section.choice("type", ("directory", "tables", *ICEBERG_CATALOGS))
    if kind in ICEBERG_CATALOGS:
        return _iceberg_catalog(section, kind)
    path = section.location("path")
    kind = kind or ("directory" if path else "tables")
    schema, format_ = section.text("schema"), section.choice("format", FORMAT_NAMES)
    tables = {(s.path[-1], t.path[-1]): _table(t) for s in section.sections("tables") for t in s.all_sections()}
    section.finish()
    if kind == "directory" and path is None:
        raise section.error("a catalog of type directory needs a path")
    if kind == "tables" and path is not None:
        raise section.error("a catalog of type tables has no path", "path")
    return CatalogConfig(section.path[-1], kind, path, schema, format_, tables)


def _iceberg_catalog(section: Section, kind: str) -> CatalogConfig:
    named = {key: section.text(key) for key in ("uri", "warehouse", "credential", "token")}
    schema, remote_name, inner = section.text("schema"), section.text("name"), section.section("properties")
    properties = dict(inner.flat_texts())
    section.finish()
    for key, value in named.items():
        if value is not None and properties.setdefault(key, value) != value:
            raise inner.error(f"{key} is given twice", key)
    if "uri" not in properties and kind != "glue":
        raise section.error(f"a catalog of type {kind} needs a uri")
    files = {key: f"file:{absolute(v.removeprefix('file:'), section.file.folder)}" for key, v in properties.items() if re.match("file:(?!/)", v)}
    sqlite = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(.*)", properties.get("uri", "")) if kind == "sql" else None
    if sqlite is not None:
        files["uri"] = f"{sqlite[1]}{absolute(sqlite[2], section.file.folder)}{sqlite[3]}"
    return CatalogConfig(section.path[-1], kind, schema=schema, properties=Properties(properties | files), remote_name=remote_name)


def _table(section: Section) -> TableConfig:
    path, format_, options = section.location("path"), section.choice("format", FORMAT_NAMES), section.section("options").texts()
    section.finish()
    if path is None:
        raise section.error("a table needs a path")
    return TableConfig(path, format_, options)


def _storage(section: Section) -> StorageConfig:
    url = section.path[-1]
    scheme_only = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]+)://", url) is not None
    if "://" not in url:
        raise section.error(f'"{url}" is no store', hint='name a bucket, [storage."s3://bucket"], or all of a scheme, [storage."s3://"]')
    try:
        at = place(f"{url}any" if scheme_only else url)
    except (ConfigError, UnsupportedFeatureError) as error:
        raise ConfigError(f"{section.file.source}: in [storage]: {error.message}", hint=error.hint) from error
    if at.key.strip("/"):
        raise section.error("options are those of a whole bucket", hint=f'[storage."{at.store}"]')
    kind = at.kind
    known = OPTIONS[kind]
    values = dict(section.values)
    for key, value in values.items():
        if key not in known:
            raise section.unknown(key, known)
        if key in FLAGS and not isinstance(value, bool):
            raise section.error(f"{key} must be true or false", key)
        if key not in FLAGS and (not isinstance(value, str) or not value):
            raise section.error(f"{key} must be a text", key)
    texts: dict[str, str] = {k: str(v).lower() if isinstance(v, bool) else v for k, v in values.items()}
    for key, text in texts.items():
        if text.startswith("file:"):
            texts[key] = f"file:{absolute(text.removeprefix('file:'), section.file.folder)}"
        elif key == "service_account" and not text.startswith("env:"):
            texts[key] = absolute(text, section.file.folder)
    return StorageConfig(f"{kind.value}://" if scheme_only else at.store, Options(texts))


def _engine(section: Section) -> EngineConfig:
    config = EngineConfig(
        name=section.text("name") or "datafusion",
        memory_limit_bytes=section.size("memory_limit"),
        target_partitions=section.count("target_partitions"),
        batch_size=section.count("batch_size"),
        timeout_seconds=section.seconds("timeout"),
        allow_write=section.flag("allow_write"),
    )
    section.finish()
    return config


def _session(section: Section) -> SessionConfig:
    config = SessionConfig(
        time_zone=section.text("time_zone") or "UTC",
        as_of=section.instant("as_of"),
        catalog=section.text("catalog"),
        schema=section.text("schema"),
        consumers=_consumers(section),
        poll_interval_seconds=section.seconds("poll_interval"),
    )
    section.finish()
    return config


def _consumers(section: Section) -> str | None:
    place = section.location("consumers")
    if place is not None and not is_local(place):
        raise section.error("positions of consumers are kept in a file of this machine", "consumers")
    return place


def _reader(section: Section) -> ReaderConfig:
    default = ReaderConfig()
    cache, limit = section.size("metadata_cache"), section.size("metadata_file_limit")
    folder, folder_size = section.location("metadata_folder"), section.size("metadata_folder_size")
    if folder is not None and not is_local(folder):
        raise section.error(f'metadata_folder must be a local folder, not "{folder}"', "metadata_folder")
    formats = {name: section.section(name).texts() for name in FORMAT_NAMES if name in section.values}
    section.known.update(FORMAT_NAMES)
    section.finish()
    return ReaderConfig(
        default.metadata_cache_bytes if cache is None else cache,
        default.metadata_file_limit_bytes if limit is None else limit,
        folder,
        default.metadata_folder_bytes if folder_size is None else folder_size,
        formats,
    )


def _shell(section: Section) -> Mapping[str, str]:
    known = [key.removeprefix("shell.") for key in KEYS if key.startswith("shell.")]
    for key in section.values:
        if key not in known:
            raise section.unknown(key, known)
    return {key: {"true": "on", "false": "off"}.get(text, text) for key, text in section.texts().items()}


def _connection(section: Section) -> ConnectionConfig:
    target, as_of = section.location("target"), section.instant("as_of")
    section.finish()
    if target is None:
        raise section.error("a connection needs a target")
    return ConnectionConfig(target, as_of)
