"""Which storage a path is read from: a router over local files and object stores, with each store's options from lakesql.toml, the environment, or the machine.

A session has one router, and reads every table through it: a table may point into other buckets. A catalog may lend options for the files of one table
(credentials it vended with it); they count below the places they were lent for, before all others.
"""

from __future__ import annotations

import configparser
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pyarrow as pa

from lakesql.config import StorageConfig
from lakesql.errors import ConfigError
from lakesql.location import Kind, Place, place
from lakesql.object_storage import ObjectStorage
from lakesql.storage import DEFAULT_FILE_LIMIT_BYTES, CachedStorage, Entry, LocalStorage, Storage
from lakesql.store_options import CREDENTIALS, OPTIONS, Options


@dataclass(frozen=True)
class EngineStore:
    """What an engine needs to read data files below `url` itself; `location.engine_url` gives its files' URLs.

    options: resolved, named as in store_options.OPTIONS, secrets hidden when printed; what is absent comes from the environment. For DataFusion 55,
    registered under `url`:

        S3     AmazonS3        bucket_name = bucket; region, access_key_id, secret_access_key, session_token, endpoint as they are; allow_http as a bool
        GCS    GoogleCloud     bucket_name = bucket; service_account_path = service_account
        AZURE  MicrosoftAzure  container_name = bucket; account, access_key, bearer_token, client_id, client_secret, tenant_id as they are;
                               use_emulator = emulator and allow_http as bools; sas_query_pairs = the (name, value) pairs of sas_token

    url is the bucket's own, `s3://bucket`, or a name of lakesql's making where the options are lent for some of its files: two tables of one bucket may have
    been lent different keys.

    environment: variables that must be set while the store is made, because the class has no argument for what they say (anonymous, virtual_hosted).
    """

    kind: Kind
    url: str
    bucket: str
    options: Options

    @property
    def environment(self) -> Mapping[str, str]:
        """See the class."""
        names = {"anonymous": "AWS_SKIP_SIGNATURE", "virtual_hosted": "AWS_VIRTUAL_HOSTED_STYLE_REQUEST"}
        return {variable: "true" for option, variable in names.items() if self.options.flag(option)}


@dataclass(frozen=True)
class _Loan:
    """Options lent for the files below one place of a bucket. url: a name for them that stays when new options take their place."""

    url: str
    options: Options


class Stores:
    """Every store a session reads, each opened when a path first needs it. Implements Storage; thread-safe."""

    def __init__(self, configured: Sequence[StorageConfig] = (), file_limit_bytes: int = DEFAULT_FILE_LIMIT_BYTES) -> None:
        self._configured = {c.url: c.options for c in configured}
        self._file_limit_bytes = file_limit_bytes
        self._local = LocalStorage(file_limit_bytes)
        self._opened: dict[str, tuple[ObjectStorage, _Loan | None]] = {}
        self._loans: dict[str, dict[str, _Loan]] = {}
        self._made_loans = 0
        self._lock = threading.Lock()

    def lend(self, place_: str, options: Mapping[str, str]) -> None:
        """From now on the files at or below a place of an object store are read with these options, which are values and never references.

        They take the place of those lent for it before. Where they name no one who asks, or no endpoint or region, those of the bucket count as well; but
        one's keys never meet the other's secrets. Without any options a loan ends. Raises ConfigError, UnsupportedFeatureError.
        """
        at = place(place_)
        folder = at.key.strip("/")
        with self._lock:
            loans = self._loans.setdefault(at.store, {})
            known = loans.get(folder)
            if not options:
                loans.pop(folder, None)
                return
            own = {k: looked_up(k, v, at.store) for k, v in self._configured_for(at).items()}
            if CREDENTIALS & options.keys():
                own = {k: v for k, v in own.items() if k not in CREDENTIALS}
            merged = Options(_completed(at, own | dict(options)))
            if known is None or known.options != merged:
                self._made_loans += 0 if known else 1
                loans[folder] = _Loan(known.url if known else f"{at.store}.lent-{self._made_loans}", merged)

    def for_path(self, path: str) -> Storage:
        """The storage that reads a path. Raises ConfigError, UnsupportedFeatureError."""
        if path.startswith("/"):
            return self._local
        at = place(path)
        if at.kind is Kind.LOCAL:
            return self._local
        with self._lock:
            loan = self._loan(at)
            url = at.store if loan is None else loan.url
            opened, of = self._opened.get(url, (None, None))
            if opened is None or of is not loan:
                opened = ObjectStorage(at, self._options(at) if loan is None else loan.options, self._file_limit_bytes)
                self._opened[url] = opened, loan
            return opened

    def engine_store(self, path: str) -> EngineStore | None:
        """The store an engine must know to read data at a path; None for local files."""
        at = place(path)
        if at.kind is Kind.LOCAL:
            return None
        with self._lock:
            loan = self._loan(at)
        return EngineStore(at.kind, at.store, at.bucket, self._options(at)) if loan is None else EngineStore(at.kind, loan.url, at.bucket, loan.options)

    def identity(self, path: str) -> str | None:
        """A text that tells a file of an object store from those of every other, also where another endpoint has a bucket of that name; without credentials,
        which may change. None for local files.
        """
        store = self.engine_store(path)
        if store is None:
            return None
        return "\n".join([path, *sorted(f"{name}={value}" for name, value in store.options.items() if name not in CREDENTIALS)])

    def engine_root(self, path: str) -> str:
        """The url of `engine_store(path)`, without its options; "" for local files."""
        at = place(path)
        if at.kind is Kind.LOCAL:
            return ""
        with self._lock:
            loan = self._loan(at)
        return at.store if loan is None else loan.url

    def list(self, folder: str, *, start_after: str | None = None) -> Iterator[Entry]:
        """See Storage."""
        return self.for_path(folder).list(folder, start_after=start_after)

    def read(self, path: str) -> bytes:
        """See Storage."""
        return self.for_path(path).read(path)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See Storage."""
        return self.for_path(path).read_range(path, offset, length)

    def size(self, path: str) -> int | None:
        """See Storage."""
        return self.for_path(path).size(path)

    def open(self, path: str) -> pa.NativeFile:
        """See Storage."""
        return self.for_path(path).open(path)

    def _options(self, at: Place) -> Options:
        return resolved(at, self._configured_for(at))

    def _configured_for(self, at: Place) -> Options:
        """The options of a bucket; those of its scheme where it has none of its own. The two are never mixed, lest one's key meet the other's secret."""
        urls = (at.store, f"{at.kind.value}://{at.bucket}", f"{at.kind.value}://")
        return next((self._configured[url] for url in urls if url in self._configured), Options())

    def _loan(self, at: Place) -> _Loan | None:
        """What is lent for a file: for the folder nearest to it, if for any it is in."""
        loans = self._loans.get(at.store)
        if not loans:
            return None
        folder = at.key.strip("/")
        while folder not in loans:
            if not folder:
                return None
            folder = folder.rpartition("/")[0]
        return loans[folder]


def for_path(path: str, options: Mapping[str, str] | None = None) -> Storage:
    """The storage for one path, with options as under [storage] in lakesql.toml. Raises ConfigError for an option its store does not have."""
    at = place(path)
    for key in options or {}:
        if key not in OPTIONS[at.kind]:
            raise ConfigError(f'a {at.kind.value}:// store has no option "{key}"', hint=f"it has {', '.join(OPTIONS[at.kind]) or 'none'}")
    return Stores([StorageConfig(at.store, Options(options))] if options else ()).for_path(path)


def router(storage: Storage) -> Stores | None:
    """The router behind a storage, through a cache; None where it is none."""
    inner = storage.inner if isinstance(storage, CachedStorage) else storage
    return inner if isinstance(inner, Stores) else None


def engine_store(storage: Storage, path: str) -> EngineStore | None:
    """`Stores.engine_store`, through a cache; None where the storage is not a router."""
    stores = router(storage)
    return None if stores is None else stores.engine_store(path)


def resolved(at: Place, said: Mapping[str, str]) -> Options:
    """Options ready to use: references looked up, and what the environment or the machine's files say where the options and obstore do not.

    Raises ConfigError for a reference that leads nowhere.
    """
    return _completed(at, {key: looked_up(key, value, at.store) for key, value in said.items()})


def _completed(at: Place, options: dict[str, str]) -> Options:
    """Options and what the environment or the machine's files say beside them."""
    match at.kind:
        case Kind.S3:
            options |= _aws_profile(options)
            endpoint = options.get("endpoint") or next(
                (v for n in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT") if (v := os.environ.get(n))), None
            )
            if endpoint:
                _check_endpoint(endpoint, at)
                options["endpoint"] = endpoint
                options.setdefault("allow_http", str(endpoint.lower().startswith("http://")).lower())
        case Kind.GCS:
            path = _environment("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_APPLICATION_CREDENTIALS")
            if path and "service_account" not in options:
                options["service_account"] = path
        case Kind.AZURE if at.account:
            options["account"] = at.account
    return Options(options)


def _check_endpoint(endpoint: str, at: Place) -> None:
    """Raises ConfigError for an endpoint that is no URL: obstore and the engine panic on one."""
    try:
        parts = urlsplit(endpoint)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:  # a port that is no number, half an IPv6 address
        sound = False
    if not sound or not endpoint.isascii() or any(c.isspace() for c in endpoint):
        raise ConfigError(f"the endpoint of {at.store} must be a URL such as https://host:port, without a user")


def _environment(*names: str) -> str | None:
    """The first of some environment variables that is set."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def looked_up(key: str, value: str, owner: str) -> str:
    """The value a reference (`env:NAME`, `file:PATH`) stands for; a value that is none is itself. Raises ConfigError, which names key and owner."""
    if value.startswith("env:"):
        name = value.removeprefix("env:")
        found = os.environ.get(name)
        if not found:
            raise ConfigError(f"{key} of {owner} is to be in the environment variable {name}, which is not set")
        return found
    if value.startswith("file:"):
        path = value.removeprefix("file:")
        try:
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f'{key} of {owner} is to be in the file "{path}", which cannot be read: {getattr(error, "strerror", None) or error}') from None
    return value


def _aws_profile(options: Mapping[str, str]) -> dict[str, str]:
    """Keys and region from the AWS shared files, where neither options nor environment give keys, as the AWS tools do; obstore and the engine do not read them.

    A profile that was named must be there and hold keys; without a name, `default` is used if it does.
    """
    named = options.get("profile") or os.environ.get("AWS_PROFILE")
    given = "access_key_id" in options or options.get("anonymous") == "true" or (not options.get("profile") and "AWS_ACCESS_KEY_ID" in os.environ)
    if given:
        return {}
    home = os.path.join(os.path.expanduser("~"), ".aws")
    profile = named or "default"
    keys = _ini(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(home, "credentials"), profile)
    more = _ini(os.environ.get("AWS_CONFIG_FILE") or os.path.join(home, "config"), profile if profile == "default" else f"profile {profile}")
    found = {**more, **keys}
    names = {"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key", "aws_session_token": "session_token"}
    result = {ours: found[theirs] for theirs, ours in names.items() if found.get(theirs)}
    if options.get("profile") and "access_key_id" not in result:
        raise ConfigError(
            f'the AWS profile "{profile}" holds no keys in the shared credentials file',
            hint="single sign-on and role profiles: export keys with `aws configure export-credentials --format env`",
        )
    if result and found.get("region") and "region" not in options and not os.environ.get("AWS_REGION") and not os.environ.get("AWS_DEFAULT_REGION"):
        result["region"] = found["region"]
    return result


def _ini(path: str, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeDecodeError):
        return {}
    except configparser.Error as error:
        raise ConfigError(f'cannot read "{path}": it is no AWS configuration file (line {getattr(error, "lineno", "unknown")})') from None
    return dict(parser.items(section)) if parser.has_section(section) else {}
