"""Files whose records are a union with null, as Paimon's writers made them up to 2024."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lakesql import avro
from lakesql.errors import MetadataError
from lakesql.storage import LocalStorage

from .writer import container

RECORD = {
    "type": "record",
    "name": "entry",
    "fields": [{"name": "id", "type": "int"}, {"name": "f", "type": ["null", {"type": "record", "name": "f", "fields": [{"name": "s", "type": "string"}]}]}],
}
WANTED = pa.schema([("f", pa.struct([("s", pa.string())])), ("absent", pa.int64()), ("id", pa.int64())])


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_records_are_what_they_wrap(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "m.avro"
    rows = [{"id": n, "f": {"s": f"row {n}"} if n % 2 else None} for n in range(300)]
    path.write_bytes(container(["null", RECORD], rows, codec=codec))
    found = avro.read(LocalStorage(), str(path), WANTED)
    assert found.to_pylist() == [{"f": r["f"], "absent": None, "id": r["id"]} for r in rows]
    assert avro.read_header(LocalStorage(), str(path)).schema == RECORD


def test_a_record_that_is_null(tmp_path: Path) -> None:
    path = tmp_path / "m.avro"
    path.write_bytes(container(["null", RECORD], [{"id": 1, "f": None}, None]))
    with pytest.raises(MetadataError, match=r"m\.avro\" holds a record that is null"):
        avro.read(LocalStorage(), str(path), WANTED)


def test_other_unions_hold_no_records(tmp_path: Path) -> None:
    path = tmp_path / "m.avro"
    path.write_bytes(container(["null", "int"], [1]))
    with pytest.raises(MetadataError, match="holds no records"):
        avro.read(LocalStorage(), str(path), WANTED)
