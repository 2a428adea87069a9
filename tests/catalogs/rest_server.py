"""An Iceberg REST catalog, as a process of its own: pyiceberg's SQL catalog behind the endpoints of the REST specification that a reader uses.

    python rest_server.py settings.json      prints its port, serves until it is ended

settings: `catalog`, properties of the SQL catalog; `login`, `id:secret` that a token is given for, if one must be; `tables`, by `namespace.table`, what an
answer about a table has beside its metadata (`config`, `storage-credentials`); `page`, most names in an answer; `garbage`, what every answer is instead. They
are read again for each request. Every request is a line of the file `settings.json.log`: method and path.
"""

from __future__ import annotations

import json
import sys
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "t0ken-given-out"
_LEVELS = "\x1f"


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, code: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.code, self.kind = code, kind


class Handler(BaseHTTPRequestHandler):
    """One request."""

    path_of_settings: Path
    catalog: Any

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answered(self, answer: Any) -> None:
        with open(f"{self.path_of_settings}.log", "a") as log:
            log.write(f"{self.command} {self.path}\n")
        settings = json.loads(self.path_of_settings.read_text())
        try:
            code, body = 200, answer(settings)
        except Refusal as refusal:
            code, body = refusal.code, {"error": {"message": str(refusal), "type": refusal.kind, "code": refusal.code}}
        content = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _post(self, settings: dict[str, Any]) -> Any:
        given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if not self.path.endswith("/v1/oauth/tokens") or f"{given.get('client_id', [''])[0]}:{given['client_secret'][0]}" != settings.get("login"):
            # Some servers say what they were given.
            raise Refusal(401, "NotAuthorizedException", f"invalid credentials: {given['client_secret'][0]}")
        return {"access_token": TOKEN, "token_type": "bearer", "expires_in": 3600, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}

    def _get(self, settings: dict[str, Any]) -> Any:
        if settings.get("login") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "NotAuthorizedException", f"not authorized: {self.headers.get('Authorization')}")
        if settings.get("garbage"):
            return settings["garbage"].encode()
        url = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        match [unquote(p) for p in url.path.strip("/").split("/")]:
            case ["v1", "config"]:
                return {"defaults": {}, "overrides": {"prefix": f"wh/{query.get('warehouse', '')}"}}
            case ["v1", "wh", _, "namespaces"]:
                parent = tuple(query["parent"].split(_LEVELS)) if "parent" in query else ()
                names = sorted(self._asked(lambda: self.catalog.list_namespaces(parent)))
                return self._page(settings, query, "namespaces", [list(n) for n in names])
            case ["v1", "wh", _, "namespaces", namespace, "tables"]:
                space = tuple(namespace.split(_LEVELS))
                found = self._asked(lambda: self.catalog.list_tables(space))
                return self._page(settings, query, "identifiers", [{"namespace": list(t[:-1]), "name": t[-1]} for t in sorted(found)])
            case ["v1", "wh", _, "namespaces", namespace, "tables", name]:
                identifier = (*namespace.split(_LEVELS), name)
                table = self._asked(lambda: self.catalog.load_table(identifier))
                said = settings.get("tables", {}).get(".".join(identifier), {})
                return {"metadata-location": table.metadata_location, "metadata": json.loads(table.metadata.model_dump_json()), **said}
        raise Refusal(404, "NoSuchEndpoint", f"nothing at {url.path}")

    def _asked(self, request: Any) -> Any:
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        try:
            return request()
        except (NoSuchNamespaceError, NoSuchTableError) as error:
            raise Refusal(404, type(error).__name__, str(error)) from error

    def _page(self, settings: dict[str, Any], query: dict[str, str], key: str, names: list[Any]) -> dict[str, Any]:
        most, start = settings.get("page", 1000), int(query.get("pageToken", "0"))
        more = {"next-page-token": str(start + most)} if start + most < len(names) else {}
        return {key: names[start : start + most], **more}


def main(path: Path) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    warnings.simplefilter("ignore")
    Handler.path_of_settings = path
    Handler.catalog = SqlCatalog("books", **json.loads(path.read_text())["catalog"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
