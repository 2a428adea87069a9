"""Whatever is wrong with an Iceberg table, seen as its users see it: an error of its own kind that names the file, an exit code that says whose fault it is,
and not a row of the answer.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lakesql
from lakesql import errors
from lakesql.frontends.cli import main

from .table_maker import TableMaker, vector_blob

USERS, DATAS = 1, 3
"""Exit codes: the user's fault, or the table's."""


@pytest.fixture
def maker(tmp_path: Path) -> TableMaker:
    """101: two files of four rows; 102: position deletes of one row; 103: equality deletes of another; 104: two more rows. The tag `kept` is at 102."""
    made = TableMaker(tmp_path / "t", [("id", "long"), ("name", "string")])
    files = [made.data_file({"id": [n, n + 1, n + 2, n + 3], "name": ["x"] * 4}, name=f"data/rows-{n}.parquet") for n in (0, 4)]
    made.commit(files)
    made.commit([made.position_deletes([(files[0]["file_path"], 0)])])
    made.commit([made.equality_deletes({"id": [7]}, [1])])
    made.refs["kept"] = {"snapshot-id": 102, "type": "tag"}
    made.commit([made.data_file({"id": [8, 9], "name": ["y", "y"]}, name="data/rows-8.parquet")])
    return made


def fails(place: Path, sql: str, kind: type[errors.Error], code: int, *words: str) -> None:
    """Through Python an error of that kind, through the command line its exit code and no row; both say all of the words."""
    with lakesql.connect(tables={"t": str(place)}) as connection, pytest.raises(kind) as caught:
        connection.execute(sql).fetchall()
    assert type(caught.value) is not errors.InternalError
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    got = main((str(place), "-c", sql, "--format", "csv"), io.StringIO(""), out, err)
    out.flush()
    for text in (str(caught.value), err.getvalue()):
        assert not [w for w in words if w not in text]
    assert (got, out.buffer.getvalue().decode().count("\n") > 1) == (code, False)  # type: ignore[attr-defined]
    assert "Traceback" not in err.getvalue()


def newest(maker: TableMaker, what: str) -> Path:
    """The file of a kind that was written last."""
    pattern = {"metadata": "metadata/v*.json", "list": "metadata/snap-*", "manifest": "metadata/manifest-*"}[what]
    return max(maker.root.glob(pattern), key=lambda p: (p.stat().st_mtime_ns, p.name))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 2],
    "short": lambda content: content[:-1],
    "empty": lambda content: b"",
    "magic": lambda content: b"XXXX" + content[4:-4] + b"XXXX",
    "text": lambda content: b"no such thing, none at all",
}


@pytest.mark.parametrize("damage", ["gone", *DAMAGES])
@pytest.mark.parametrize("what", ["metadata", "list", "manifest", "position", "equality", "rows"])
def test_files_that_are_gone_cut_off_or_something_else(maker: TableMaker, what: str, damage: str) -> None:
    deletes = {f["file_path"].rsplit("/", 1)[-1]: f for f in _delete_files(maker)}
    named = {"position": next(n for n, f in deletes.items() if f["content"] == 1), "equality": next(n for n, f in deletes.items() if f["content"] == 2)}
    file = maker.root / "data/rows-4.parquet" if what == "rows" else maker.root / "data" / named[what] if what in named else newest(maker, what)
    if damage == "gone":
        file.unlink()
        if what == "metadata":
            (maker.root / "metadata/version-hint.text").write_text("4")
            fails(file, "SELECT * FROM t", errors.DatabaseError, USERS, "metadata")
            return
    else:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    kind = errors.DataError if damage != "gone" else errors.MissingFileError
    fails(maker.root, "SELECT * FROM t", kind, DATAS, file.name)
    fails(maker.root, "SELECT id FROM t WHERE id < 100 ORDER BY id", kind, DATAS, file.name)


def _delete_files(maker: TableMaker) -> list[dict[str, Any]]:
    with lakesql.connect(tables={"t": str(maker.root)}) as connection:
        found = connection.execute("SELECT content, file_path FROM t.delete_files").fetchall()
    return [{"content": content, "file_path": path} for content, path in found]


def test_what_is_not_needed_may_be_damaged(maker: TableMaker) -> None:
    """Snapshots that do not need the file are read; metadata tables that open no manifest too."""
    newest(maker, "list").write_bytes(b"")
    with lakesql.connect(tables={"t": str(maker.root)}) as connection:
        assert connection.execute("SELECT count(*) FROM t.tag_kept").fetchall() == [(7,)]
        assert connection.execute("SELECT count(*) FROM t.snapshots").fetchall() == [(4,)]


@pytest.mark.parametrize("damage", ["length", "magic", "checksum", "size"])
def test_deletion_vectors(tmp_path: Path, damage: str) -> None:
    maker = TableMaker(tmp_path / "t", [("id", "long")], version=3)
    data = maker.data_file({"id": [1, 2, 3, 4]})
    maker.commit([data])
    import pyroaring

    blob = vector_blob(pyroaring.BitMap64([0, 2]))
    broken = {
        "length": b"\x00\x00\x00\x05" + blob[4:],
        "magic": blob[:4] + b"PUFF" + blob[8:],
        "checksum": blob[:-1] + bytes([blob[-1] ^ 1]),
        "size": blob,
    }[damage]
    vector = maker.vector(data, [0, 2], blob=broken, **({"content_size_in_bytes": len(blob) + 7} if damage == "size" else {}))
    maker.commit([vector])
    fails(maker.root, "SELECT * FROM t", errors.DataFileError, DATAS, vector["file_path"].rsplit("/", 1)[-1])


def test_sizes_that_lie(tmp_path: Path) -> None:
    """Sizes are hints, since tools that rewrite paths leave wrong ones behind; what cannot be read then says so."""
    maker = TableMaker(tmp_path / "t", [("id", "long")])
    data = maker.data_file({"id": [1, 2, 3]}, file_size_in_bytes=17)
    maker.commit([data])
    maker.commit([maker.position_deletes([(data["file_path"], 1)], file_size_in_bytes=2**40)])
    for row in maker.manifests:
        row["manifest_length"] = 3
    maker.snapshot(103, maker.manifests)
    with lakesql.connect(tables={"t": str(maker.root)}) as connection:
        assert connection.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (3,)]
    file = maker.root / data["file_path"].removeprefix(f"{maker.root}/")
    file.write_bytes(file.read_bytes()[:-20])
    fails(maker.root, "SELECT id FROM t", errors.DataError, DATAS, file.name, "17")


def test_what_is_not_known(maker: TableMaker) -> None:
    raw = maker.metadata()
    maker.write(raw={**raw, "format-version": 4})
    fails(maker.root, "SELECT * FROM t", errors.UnsupportedFeatureError, DATAS, "format version 4", "v4.metadata.json")
    fields = [*raw["schemas"][-1]["fields"], {"id": 9, "name": "odd", "required": False, "type": "hyperpoint"}]
    maker.write(raw={**raw, "schemas": [*raw["schemas"][:-1], {**raw["schemas"][-1], "fields": fields}]})
    fails(maker.root, "SELECT id FROM t", errors.UnsupportedFeatureError, DATAS, "hyperpoint", "odd")
    spec = {"spec-id": 0, "fields": [{"source-id": 1, "field-id": 1000, "name": "z", "transform": "zorder"}]}
    maker.write(raw={**raw, "partition-specs": [spec]})
    with lakesql.connect(tables={"t": str(maker.root)}) as connection:
        assert connection.execute("SELECT count(*) FROM t WHERE id >= 8").fetchall() == [(2,)]


def test_versions(maker: TableMaker) -> None:
    fails(maker.root, "SELECT * FROM t VERSION AS OF 99", errors.NoSuchVersionError, USERS, "99", "oldest kept is 101", "tags: kept")
    fails(maker.root, "SELECT * FROM t.tag_kpet", errors.NoSuchVersionError, USERS, '"kpet"', 'did you mean "kept"')
    fails(maker.root, "SELECT * FROM t TIMESTAMP AS OF '1999-01-01'", errors.NoSuchVersionError, USERS, "1999-01-01", "log begins at 2023-11-14 22:14:20")
    maker.snapshots = [s for s in maker.snapshots if s["snapshot-id"] != 101]
    maker.write()
    words = ("snapshot 101 has expired", "the nearest after it is 102", "the oldest kept is 102", "tags: kept")
    fails(maker.root, "SELECT * FROM t VERSION AS OF 101", errors.ExpiredVersionError, DATAS, *words)
    fails(maker.root, "SELECT count(*) FROM t.files VERSION AS OF 101", errors.ExpiredVersionError, DATAS, *words)


def test_two_files_that_claim_one_version(maker: TableMaker) -> None:
    for name in ("00009-a.metadata.json", "00009-b.metadata.json"):
        (maker.root / "metadata" / name).write_text(json.dumps(maker.metadata()))
    (maker.root / "metadata/version-hint.text").unlink()
    fails(maker.root, "SELECT * FROM t", errors.MetadataError, DATAS, "00009-a.metadata.json, 00009-b.metadata.json", "name the right one")


def test_an_instant_that_the_history_tells_otherwise_comes_with_a_word(maker: TableMaker) -> None:
    """The table was rolled back to 102: at the instant 103 was current, by the log."""
    maker.current = 102
    maker.log.append({"timestamp-ms": maker.log[-1]["timestamp-ms"] + 60_000, "snapshot-id": 102})
    maker.write()
    with lakesql.connect(tables={"t": str(maker.root)}) as connection:
        result = connection.session.execute("SELECT count(*) FROM t TIMESTAMP AS OF '2023-11-14 22:16:30'")
        assert [n for n in result.notices if "103" in n and "rolled back or replaced" in n and "102" in n]
        assert connection.session.execute("SELECT count(*) FROM t TIMESTAMP AS OF '2023-11-14 22:15:30'").notices == ()
