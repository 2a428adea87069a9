"""What Iceberg catalogs say of the stores that files are in (`s3.access-key-id`, ...) -> options of a store as lakesql has them.

Source: Iceberg REST catalog specification, "LoadTableResult"; the properties of Iceberg's and pyiceberg's FileIO.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakesql.errors import UnsupportedFeatureError
from lakesql.location import Kind, Place

_PLAIN: dict[Kind, dict[str, tuple[str, ...]]] = {
    Kind.LOCAL: {},
    Kind.S3: {
        "endpoint": ("s3.endpoint",),
        "region": ("s3.region", "client.region"),
        "access_key_id": ("s3.access-key-id", "client.access-key-id"),
        "secret_access_key": ("s3.secret-access-key", "client.secret-access-key"),
        "session_token": ("s3.session-token", "client.session-token"),
    },
    Kind.GCS: {},
    Kind.AZURE: {
        "account": ("adls.account-name",),
        "access_key": ("adls.account-key", "adls.auth.shared-key.account.key"),
        "bearer_token": ("adls.token",),
        "tenant_id": ("adls.tenant-id",),
        "client_id": ("adls.client-id",),
        "client_secret": ("adls.client-secret",),
    },
}
"""lakesql's options, and the properties that give them, the first that is there."""

_SAS = "adls.sas-token"
_GOOGLE_TOKEN = "gcs.oauth2.token"
_SIGNS_REMOTELY = "s3.remote-signing-enabled"


def store_options(properties: Mapping[str, str], at: Place, owner: str) -> dict[str, str]:
    """The options of the store of `at` among a catalog's properties; values are values, never references.

    Raises UnsupportedFeatureError, which names `owner`, for ways in that lakesql's engine has not: requests that the catalog signs one by one, and tokens for
    Google Cloud Storage.
    """
    options = {ours: properties[theirs[0]] for ours, theirs in ((o, [t for t in ts if properties.get(t)]) for o, ts in _PLAIN[at.kind].items()) if theirs}
    match at.kind:
        case Kind.S3:
            if _is_true(properties.get(_SIGNS_REMOTELY)) and "access_key_id" not in options:
                raise UnsupportedFeatureError(
                    f"{owner} wants every request to {at.store} signed by the catalog, which lakesql does not do",
                    feature="remote signing",
                    hint=f'have the catalog vend credentials, or name keys under [storage."{at.store}"] and set "{_SIGNS_REMOTELY}" to false',
                )
            flags = {"anonymous": "s3.anonymous", "virtual_hosted": "s3.force-virtual-addressing"}
            options |= {ours: "true" for ours, theirs in flags.items() if _is_true(properties.get(theirs))}
        case Kind.GCS if properties.get(_GOOGLE_TOKEN):
            raise UnsupportedFeatureError(
                f"{owner} is given out with a token for {at.store}, which lakesql's engine cannot use",
                feature="tokens for Google Cloud Storage",
                hint="name a service account under [storage] and have the catalog vend no credentials",
            )
        case Kind.AZURE:
            named = [key for key in (f"{_SAS}.{at.account}.dfs.core.windows.net", f"{_SAS}.{at.account}", _SAS) if properties.get(key)]
            named += sorted(k for k, v in properties.items() if k.startswith(f"{_SAS}.") and "expires" not in k and v and not at.account)
            if named:
                options["sas_token"] = properties[named[0]]
    return options


def _is_true(value: str | None) -> bool:
    return str(value).lower() == "true"
