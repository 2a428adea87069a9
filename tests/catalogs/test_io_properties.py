"""Properties of Iceberg's file access -> options of a store."""

from __future__ import annotations

import pytest

from lakesql.catalogs.io_properties import store_options
from lakesql.errors import UnsupportedFeatureError
from lakesql.location import place
from lakesql.store_options import OPTIONS

S3 = {"s3.access-key-id": "k", "s3.secret-access-key": "s"}


@pytest.mark.parametrize(
    ("where", "properties", "expected"),
    [
        ("s3://b/t", {}, {}),
        ("s3a://b/t", {**S3, "s3.session-token": "t"}, {"access_key_id": "k", "secret_access_key": "s", "session_token": "t"}),
        ("s3://b/t", {"client.region": "x", "s3.endpoint": "http://h"}, {"region": "x", "endpoint": "http://h"}),
        ("s3://b/t", {"client.region": "x", "s3.region": "y"}, {"region": "y"}),
        ("s3://b/t", {"client.access-key-id": "k", "client.secret-access-key": "s"}, {"access_key_id": "k", "secret_access_key": "s"}),
        ("s3://b/t", {"s3.anonymous": "True", "s3.force-virtual-addressing": "true"}, {"anonymous": "true", "virtual_hosted": "true"}),
        ("s3://b/t", {"s3.anonymous": "false", "s3.region": ""}, {}),
        ("s3://b/t", {**S3, "s3.remote-signing-enabled": "true"}, {"access_key_id": "k", "secret_access_key": "s"}),
        ("s3://b/t", {"adls.account-name": "a", "s3.profile-name": "root", "s3.sse.type": "kms"}, {}),
        ("gs://b/t", {"s3.region": "x", "gcs.project-id": "p"}, {}),
        ("abfss://c@acc.dfs.core.windows.net/t", {"adls.sas-token.acc.dfs.core.windows.net": "sig"}, {"sas_token": "sig"}),
        ("abfss://c@acc.dfs.core.windows.net/t", {"adls.sas-token.other": "no", "adls.sas-token": "sig"}, {"sas_token": "sig"}),
        ("abfss://c@acc.dfs.core.windows.net/t", {"adls.sas-token.other": "no"}, {}),
        ("az://c/t", {"adls.sas-token.acc.dfs.core.windows.net": "sig", "adls.sas-token-expires-at-ms.acc": "1"}, {"sas_token": "sig"}),
        ("az://c/t", {"adls.account-name": "a", "adls.account-key": "k"}, {"account": "a", "access_key": "k"}),
        (
            "az://c/t",
            {"adls.tenant-id": "t", "adls.client-id": "i", "adls.client-secret": "s", "adls.token": "b"},
            {"tenant_id": "t", "client_id": "i", "client_secret": "s", "bearer_token": "b"},
        ),
    ],
)
def test_options(where: str, properties: dict[str, str], expected: dict[str, str]) -> None:
    at = place(where)
    found = store_options(properties, at, "prod.shop.orders")
    assert found == expected
    assert set(found) <= set(OPTIONS[at.kind])


@pytest.mark.parametrize(("where", "properties"), [("s3://b/t", {"s3.remote-signing-enabled": "true"}), ("gs://b/t", {"gcs.oauth2.token": "hidden-word"})])
def test_ways_in_that_the_engine_has_not(where: str, properties: dict[str, str]) -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"prod\.shop\.orders") as caught:
        store_options(properties, place(where), "prod.shop.orders")
    assert "hidden-word" not in str(caught.value)
