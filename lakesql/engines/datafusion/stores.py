"""DataFusion's own object stores for data files, each registered when the first file of it is read. Which argument says what: `stores.EngineStore`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from datafusion import SessionContext
from datafusion.object_store import AmazonS3, GoogleCloud, MicrosoftAzure

from lakesql.location import Kind, place
from lakesql.storage import Storage
from lakesql.stores import EngineStore, engine_store

_environment_lock = threading.Lock()


class ObjectStores:
    """The stores registered with one session context."""

    def __init__(self, context: SessionContext, storage: Storage) -> None:
        self._context = context
        self._storage = storage
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def require(self, path: str) -> None:
        """Makes the store of `path` readable; local files need nothing. Raises ConfigError."""
        if path.startswith("/"):
            return
        key = place(path).store
        with self._lock:
            if key in self._known:
                return
            store = engine_store(self._storage, path)
            if store is not None:
                scheme, _, host = store.url.partition("://")
                with _set(store.environment):
                    self._context.register_object_store(f"{scheme}://", _made(store), host)
            self._known.add(key)


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
