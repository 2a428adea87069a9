"""What can be said about an object store: the options under `[storage."URL"]`, the environment variables that stand in for them, and the secrets among them.

An option is here only if both sides can honour it: the reader of metadata (obstore) and the engine that reads the data. What is not set is taken from the
environment as every tool of the cloud does (AWS_ACCESS_KEY_ID, AZURE_STORAGE_ACCOUNT_NAME, ...), then from the machine's identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from lakesql.location import Kind

OPTIONS: dict[Kind, dict[str, str]] = {
    Kind.LOCAL: {},
    Kind.S3: {
        "endpoint": "URL of an S3-compatible service; without it, AWS",
        "region": "the bucket's region",
        "access_key_id": "who asks",
        "secret_access_key": "the key's secret",
        "session_token": "for temporary keys",
        "allow_http": "whether to speak plain HTTP; true without saying where the endpoint begins with http://",
        "anonymous": "true: requests are not signed, for public buckets",
        "virtual_hosted": "true: the bucket is part of the endpoint's host name",
        "profile": "a profile of the AWS shared credentials file to take keys and region from",
    },
    Kind.GCS: {
        "service_account": "path of a service account's JSON key; without it, the application default credentials",
    },
    Kind.AZURE: {
        "account": "the storage account; not needed where the URL names it",
        "access_key": "the account's key",
        "sas_token": "a shared access signature, as a query string",
        "bearer_token": "an OAuth token",
        "client_id": "service principal, with client_secret and tenant_id",
        "client_secret": "service principal",
        "tenant_id": "service principal",
        "emulator": "true: Azurite on this machine",
        "allow_http": "whether to speak plain HTTP",
    },
}
"""Every option of every kind of store, with its meaning."""

SECRETS = frozenset({"access_key_id", "secret_access_key", "session_token", "access_key", "sas_token", "bearer_token", "client_secret"})
"""Options whose values are never shown."""

CREDENTIALS = SECRETS | {"anonymous", "profile", "service_account", "client_id", "tenant_id", "emulator"}
"""Options that say who asks."""

FLAGS = frozenset({"allow_http", "anonymous", "virtual_hosted", "emulator"})
"""Options that are true or false."""


class Options(Mapping[str, str]):
    """Options of one store, ready to use: an immutable mapping that does not show its secrets, whoever prints it."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        shown = (f"{k}=***" if k in SECRETS else f"{k}={v!r}" for k, v in sorted(self._values.items()))
        return f"Options({', '.join(shown)})"

    def flag(self, key: str) -> bool:
        """The value of an option that is true or false; False where it is not set."""
        return self._values.get(key) == "true"

    def masked(self, text: str) -> str:
        """text with every secret in it replaced, the longest first."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _secrets(self) -> set[str]:
        return {v for k, v in self._values.items() if k in SECRETS and len(v) > 3}


_SHOWN = re.compile(r"(.*[.-])?(uri|url|warehouse|scope|audience|region|endpoint|type|enabled|level|mode|size|retries|separator|version)")
"""Names of properties that are no secrets."""
_USER = re.compile(r"://([^/@]+)@")


class Properties(Options):
    """Properties of a catalog, which are another library's: which of them are secret is not known, so none is shown but those that never are, without users and
    passwords in their URLs.
    """

    def __repr__(self) -> str:
        shown = (f"{k}={_USER.sub('://***@', v)!r}" if _SHOWN.fullmatch(k) else f"{k}=***" for k, v in sorted(self._values.items()))
        return f"Properties({', '.join(shown)})"

    def _secrets(self) -> set[str]:
        """Whole values, and what stands around the colon of `id:secret`, in URLs too, as written and decoded."""
        found: set[str] = set()
        for key, value in self._values.items():
            users = _USER.findall(value)
            for text in users if _SHOWN.fullmatch(key) else (value, *users):
                found |= {text, unquote(text), *text.split(":"), *unquote(text).split(":")}
        return {text for text in found if len(text) > 3 and text.lower() not in ("true", "false", "http", "https")}
