"""An Iceberg table in a bucket, from its metadata to its rows, with deletes of every kind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lakesql
from lakesql.config import parse
from lakesql.errors import MissingFileError

from .table_maker import TableMaker

pytest.importorskip("obstore")
moto_server = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

KEY, SECRET = "AKIALAKESQLTEST", "the-key"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A server with an empty bucket `lake`; `client.meta.endpoint_url` names it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    made = boto3.client("s3", endpoint_url=f"http://{host}:{port}", aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
    made.create_bucket(Bucket="lake")
    yield made
    running.stop()


def test_rows_versions_and_metadata_tables(client: Any, tmp_path: Path) -> None:
    maker = TableMaker(tmp_path / "t", [("id", "long"), ("p", "string")], partition=[("p", "identity")], version=3, location="s3a://lake/shop/t")
    data = [
        maker.data_file({"id": [n, n + 1, n + 2, n + 3], "p": ["a b/ü", "a b/ü", "a b/ü", "a b/ü"]}, partition=["a b/ü"], name=f"data/p=a b%2Fü/{n}.parquet")
        for n in (0, 4)
    ]
    maker.commit(data)
    maker.commit([maker.position_deletes([(data[0]["file_path"], 0)], partition=["a b/ü"]), maker.equality_deletes({"id": [2]}, [1], partition=["a b/ü"])])
    maker.commit([maker.vector(data[1], [3])])
    for file in (tmp_path / "t").rglob("*"):
        if file.is_file():
            client.put_object(Bucket="lake", Key=f"shop/t/{file.relative_to(tmp_path / 't')}", Body=file.read_bytes())
    text = f'[storage."s3://lake"]\nendpoint = "{client.meta.endpoint_url}"\nregion = "us-east-1"\naccess_key_id = "{KEY}"\nsecret_access_key = "{SECRET}"\n'
    with lakesql.connect(tables={"t": "s3://lake/shop/t"}, config=parse(text, str(tmp_path / "lakesql.toml"))) as connection:
        assert connection.execute("SELECT id FROM t WHERE p = 'a b/ü' ORDER BY id").fetchall() == [(1,), (3,), (4,), (5,), (6,)]
        assert connection.execute("SELECT count(*) FROM t VERSION AS OF 101").fetchall() == [(8,)]
        assert connection.execute('SELECT count(*) FROM "t$files"').fetchall() == [(5,)]
        assert connection.execute('SELECT pos FROM "t$position_deletes" ORDER BY pos').fetchall() == [(0,), (3,)]
        client.delete_object(Bucket="lake", Key="shop/t/data/p=a b%2Fü/4.parquet")
        with pytest.raises(MissingFileError, match=r"4\.parquet"):
            connection.execute("SELECT id FROM t").fetchall()


def test_files_in_two_buckets_and_on_disk(client: Any, tmp_path: Path) -> None:
    """An engine asks one store for all files of a scan; the name of a file is the same in each."""
    client.create_bucket(Bucket="old")
    maker = TableMaker(tmp_path / "t", [("id", "long")], location="s3://lake/shop/two")
    places = ["s3://lake/shop/two/data", "s3://old/shop/two/data", str(tmp_path / "t/data")]
    files = []
    for number, place in enumerate(places):
        entry = maker.data_file({"id": [10 * number, 10 * number + 1]}, name=f"data/{number}.parquet")
        files.append({**entry, "file_path": f"{place}/{number}.parquet"})
    maker.commit(files)
    maker.commit([maker.position_deletes([(f["file_path"], 0) for f in files])])
    for file in (tmp_path / "t").rglob("*"):
        if file.is_file():
            key = f"shop/two/{file.relative_to(tmp_path / 't')}"
            for bucket in {"0.parquet": ["lake"], "1.parquet": ["old"], "2.parquet": []}.get(file.name, ["lake"]):
                client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
    options = f'endpoint = "{client.meta.endpoint_url}"\nregion = "us-east-1"\naccess_key_id = "{KEY}"\nsecret_access_key = "{SECRET}"\n'
    config = parse(f'[storage."s3://"]\n{options}', str(tmp_path / "lakesql.toml"))
    with lakesql.connect(tables={"t": "s3://lake/shop/two"}, config=config) as connection:
        assert connection.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (11,), (21,)]
        assert connection.execute("SELECT id FROM t WHERE id > 5 ORDER BY id").fetchall() == [(11,), (21,)]
        assert connection.execute("SELECT id FROM t VERSION AS OF 101 ORDER BY id").fetchall() == [(0,), (1,), (10,), (11,), (20,), (21,)]
        paths = connection.execute("SELECT _file, id FROM t ORDER BY id").fetchall()
        assert [(p, i) for p, i in paths] == [(f"{place}/{n}.parquet", 10 * n + 1) for n, place in enumerate(places)]


def test_manifests_are_kept_in_a_folder(client: Any, tmp_path: Path) -> None:
    """From one session to the next; the table's metadata is asked for each time, and data files are read from the store."""
    maker = TableMaker(tmp_path / "t", [("id", "long")], location="s3://lake/shop/kept")
    maker.commit([maker.data_file({"id": [1, 2]})])
    for file in (tmp_path / "t").rglob("*"):
        if file.is_file():
            client.put_object(Bucket="lake", Key=f"shop/kept/{file.relative_to(tmp_path / 't')}", Body=file.read_bytes())
    options = f'endpoint = "{client.meta.endpoint_url}"\nregion = "us-east-1"\naccess_key_id = "{KEY}"\nsecret_access_key = "{SECRET}"\n'
    text = f'[reader]\nmetadata_folder = "kept"\nmetadata_folder_size = "1MB"\n[storage."s3://lake"]\n{options}'
    config = parse(text, str(tmp_path / "lakesql.toml"))
    for _ in range(2):
        with lakesql.connect(tables={"t": "s3://lake/shop/kept"}, config=config) as connection:
            assert connection.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,)]
        assert len(list((tmp_path / "kept").iterdir())) == 2  # the manifest list and the manifest
        for listed in client.list_objects_v2(Bucket="lake", Prefix="shop/kept/metadata/")["Contents"]:
            if listed["Key"].endswith(".avro"):
                client.delete_object(Bucket="lake", Key=listed["Key"])
