"""pyiceberg's catalogs, as far as lakesql uses them: names, and where a table's metadata file is. pyiceberg is imported here and nowhere else, when a catalog
of such a type is first asked.

Each class is pyiceberg's own with its last step left out: `load_table` does not read the metadata, because pyiceberg's reader refuses tables that are valid
(version 3 with variants, for one) and lakesql's reads it anyway. That step has no public name, so the extra `iceberg-catalogs` is bound to the version of
pyiceberg this was written for.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyiceberg.exceptions import AuthorizationExpiredError, NoSuchIcebergTableError, NoSuchTableError, UnauthorizedError

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
"""How long a catalog is waited for."""


@dataclass(frozen=True)
class Loaded:
    """A table as its catalog has it.

    metadata_location: as the catalog spells it. places: where the table's files are said to be, beside the folder of its metadata. properties: of the catalog
    and of the server, for whoever reads the files; credentials: more of them, by the prefix of the paths they are for.
    """

    metadata_location: str
    places: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)


def connect(kind: str, name: str, properties: Mapping[str, str]) -> Any:
    """A catalog of pyiceberg's. kind: rest, sql, hive or glue; name: as it is called in the catalog itself. Raises ImportError where a library is missing,
    and whatever pyiceberg and what is below it raise."""
    return {"rest": _rest, "sql": _sql, "hive": _hive, "glue": _glue}[kind](name, dict(properties))


def _rest(name: str, properties: dict[str, str]) -> Any:
    from pyiceberg.catalog.rest import Capability, Endpoints, RestCatalog
    from pyiceberg.catalog.rest.response import _handle_non_200_response
    from requests import HTTPError

    class Rest(RestCatalog):
        def _config_headers(self, session: Any) -> None:
            """The first thing done to every session: from here on nothing waits for ever."""
            super()._config_headers(session)
            session.request = functools.partial(session.request, timeout=(CONNECT_SECONDS, ANSWER_SECONDS))

        def load_table(self, identifier: tuple[str, ...]) -> Loaded:
            try:
                return self._loaded(identifier)
            except (AuthorizationExpiredError, UnauthorizedError):
                self._refresh_token()
                return self._loaded(identifier)

        def _loaded(self, identifier: tuple[str, ...]) -> Loaded:
            self._check_endpoint(Capability.V1_LOAD_TABLE)
            url = self.url(Endpoints.load_table, prefixed=True, **self._split_identifier_for_path(identifier))
            # Only the location is wanted of it: with `refs`, the answer leaves out the snapshots that no branch or tag names.
            response = self._session.get(url, params={"snapshots": "refs"})
            try:
                response.raise_for_status()
            except HTTPError as error:
                _handle_non_200_response(error, {404: NoSuchTableError})
            return _answer(response.json(), self.properties)

    return Rest(name, **properties)


def _answer(answer: Any, properties: Mapping[str, str]) -> Loaded:
    """A LoadTableResult. Raises ValueError for what is none."""
    location = answer.get("metadata-location") if isinstance(answer, dict) else None
    if not isinstance(location, str) or not location:
        raise ValueError("the catalog names no metadata location for the table")
    metadata = answer.get("metadata") or {}
    said = metadata.get("properties") or {}
    places = [metadata.get("location"), *(said.get(key) for key in ("write.data.path", "write.metadata.path", "write.object-storage.path"))]
    credentials = {c["prefix"]: _texts(c.get("config")) for c in answer.get("storage-credentials") or ()}
    return Loaded(location, tuple(p for p in places if isinstance(p, str) and p), {**_texts(properties), **_texts(answer.get("config"))}, credentials)


def _sql(name: str, properties: dict[str, str]) -> Any:
    from pyiceberg.catalog.sql import SqlCatalog
    from sqlalchemy import make_url

    url = make_url(properties["uri"])
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:") and not os.path.isfile(url.database):
        raise FileNotFoundError(f"there is no database file {url.database}")  # SQLite would make one

    class Sql(SqlCatalog):
        def _convert_orm_to_iceberg(self, orm_table: Any) -> Loaded:
            if not orm_table.metadata_location:
                raise NoSuchTableError("the catalog has no metadata location for the table")
            return Loaded(orm_table.metadata_location, properties=_texts(self.properties))

    return Sql(name, **{"init_catalog_tables": "false", **properties})


def _hive(name: str, properties: dict[str, str]) -> Any:
    from pyiceberg.catalog.hive import HiveCatalog, _HiveClient

    def patient(client: Any) -> Any:
        """The client, which would wait for ever by itself."""
        transport = client._init_thrift_transport

        def with_timeout() -> Any:
            made = transport()
            for attribute in ("_TBufferedTransport__trans", "_trans"):
                socket: Any = getattr(made, attribute, None)
                if socket is not None:
                    socket.setTimeout(ANSWER_SECONDS * 1000)
            return made

        client._init_thrift_transport = with_timeout
        client._transport = with_timeout()
        return client

    class Hive(HiveCatalog):
        @staticmethod
        def _create_hive_client(properties: dict[str, str]) -> _HiveClient:
            return patient(HiveCatalog._create_hive_client(properties))

        def _convert_hive_into_iceberg(self, table: Any) -> Loaded:
            return _of_parameters(table.parameters, f"{table.dbName}.{table.tableName}", self.properties)

    return Hive(name, **properties)


def _glue(name: str, properties: dict[str, str]) -> Any:
    from pyiceberg.catalog.glue import GlueCatalog

    class Glue(GlueCatalog):
        def _convert_glue_to_iceberg(self, glue_table: Any) -> Loaded:
            return _of_parameters(glue_table.get("Parameters") or {}, f"{glue_table.get('DatabaseName')}.{glue_table.get('Name')}", self.properties)

    # boto3 wants a number, and is patient by itself: ten times, each longer than the last.
    return Glue(name, **{**properties, "glue.max-retries": int(properties.get("glue.max-retries", "3"))})


def _of_parameters(parameters: Mapping[str, str], name: str, properties: Mapping[str, Any]) -> Loaded:
    """A table of a metastore, by the parameters that Hive and Glue keep with it."""
    kind, location = parameters.get("table_type", ""), parameters.get("metadata_location")
    if kind.lower() != "iceberg" or not location:
        raise NoSuchIcebergTableError(f"{name} is no Iceberg table" + (f": its table_type is {kind}" if kind else ""))
    return Loaded(location, properties=_texts(properties))


def _texts(properties: Any) -> dict[str, str]:
    return {str(k): v for k, v in properties.items() if isinstance(v, str)} if isinstance(properties, Mapping) else {}
