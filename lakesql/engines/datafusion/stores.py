"""DataFusion's own object stores for data files, each registered when the first file of it is read. Which argument says what: `stores.EngineStore`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from datafusion import SessionContext
from datafusion.object_store import AmazonS3, GoogleCloud, MicrosoftAzure

from lakesql.location import Kind, engine_url, place
from lakesql.storage import Storage
from lakesql.store_options import Options
from lakesql.stores import EngineStore, engine_store, router

_environment_lock = threading.Lock()


class ObjectStores:
    """The stores registered with one session context."""

    def __init__(self, context: SessionContext, storage: Storage) -> None:
        self._context = context
        self._storage = storage
        self._known: dict[str, Options | None] = {}
        self._lock = threading.Lock()

    def root(self, path: str) -> str:
        """The URL of the store a file is in, as the context knows it; "" for local files."""
        if path.startswith("/"):
            return ""
        stores = router(self._storage)
        return place(path).store if stores is None else stores.engine_root(path)

    def urls(self, root: str, paths: Sequence[str]) -> list[str]:
        """The URLs by which the context reads files of one store, which is made readable where it is not yet. Raises ConfigError."""
        if not root:
            return [engine_url(p) for p in paths]
        self._require(root, paths[0])
        own = len(place(paths[0]).store)
        return [f"{root}{engine_url(p)[own:]}" for p in paths]

    def _require(self, root: str, path: str) -> None:
        """Options that were lent may have been replaced since; a bucket's own stay."""
        with self._lock:
            is_own = root == place(path).store
            if is_own and root in self._known:
                return
            store = engine_store(self._storage, path)
            if store is not None and (root not in self._known or self._known[root] is not store.options):
                scheme, _, host = store.url.partition("://")
                with _set(store.environment):
                    self._context.register_object_store(f"{scheme}://", _made(store), host)
            self._known[root] = None if store is None else store.options


def _made(store: EngineStore) -> Any:
    said = {
        k: v for k, v in store.options.items() if k not in ("anonymous", "virtual_hosted", "profile", "allow_http", "emulator", "sas_token", "service_account")
    }
    match store.kind:
        case Kind.S3:
            return AmazonS3(bucket_name=store.bucket, allow_http=store.options.flag("allow_http"), **said)
        case Kind.GCS:
            return GoogleCloud(bucket_name=store.bucket, service_account_path=store.options.get("service_account"))
        case _:
            pairs = parse_qsl(store.options.get("sas_token", "").lstrip("?"), keep_blank_values=True) or None
            return MicrosoftAzure(
                container_name=store.bucket,
                use_emulator=store.options.flag("emulator"),
                allow_http=store.options.flag("allow_http"),
                sas_query_pairs=pairs,
                **said,
            )


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """The variables in the environment while a store is made: its class has no argument for what they say."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
