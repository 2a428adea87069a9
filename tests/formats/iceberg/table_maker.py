"""Makes Iceberg tables by hand, file by file: what no writer would do on request (odd sequence numbers, missing columns, other prefixes, damage), and what
needs no writer.

    maker = TableMaker(folder, [("id", "long"), ("day", "date")], partition=[("day", "identity")])
    maker.commit([maker.data_file({"id": [1, 2], "day": [19000, 19000]}, partition=[19000])])

Everything a commit writes can be set: entries are plain dicts with the spec's names, manifests and snapshots too.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyroaring
from avro.writer import container

from lakesql.avro.matching import legal_name
from lakesql.formats.iceberg.types import Field, Primitive, Struct, arrow_type, parse_fields

EXISTING, ADDED, DELETED = 0, 1, 2
ID = "PARQUET:field_id"

Column = tuple[str, Any]


class TableMaker:
    """A table that grows by commits. Ids of snapshots are 101, 102, ...; commits are a minute apart."""

    def __init__(
        self,
        root: Path,
        columns: Sequence[Column | dict[str, Any]],
        *,
        partition: Sequence[tuple[str, str]] = (),
        version: int = 2,
        location: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.version = version
        self.location = location or str(root)
        self.properties = dict(properties or {})
        self.schemas: list[dict[str, Any]] = []
        self.specs: list[dict[str, Any]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.manifests: list[dict[str, Any]] = []
        self.refs: dict[str, Any] = {}
        self.log: list[dict[str, Any]] = []
        self.metadata_log: list[dict[str, Any]] = []
        self.sequence = 0
        self.next_row_id = 0
        self.commits = 0
        self.current: int | None = None
        self._files = 0
        self._next_field_id = 1
        self.evolve(columns)
        self.partition_by(partition)
        (root / "metadata").mkdir(parents=True, exist_ok=True)
        (root / "data").mkdir(exist_ok=True)

    # Schemas and specs -------------------------------------------------------------------------------------------------------------------------------

    def evolve(self, columns: Sequence[Column | dict[str, Any]]) -> int:
        """A new current schema. A pair (name, type) keeps the id of an earlier column of that name; a dict is taken as it is."""
        known = {f["name"]: f["id"] for f in self.schemas[-1]["fields"]} if self.schemas else {}
        fields = []
        for column in columns:
            if isinstance(column, dict):
                fields.append(column)
                self._next_field_id = max(self._next_field_id, column["id"] + 1)
                continue
            name, type_ = column
            id_ = known.get(name)
            if id_ is None:
                id_, self._next_field_id = self._next_field_id, self._next_field_id + 1
            fields.append({"id": id_, "name": name, "required": False, "type": type_})
        self.schemas.append({"type": "struct", "schema-id": len(self.schemas), "fields": fields})
        return len(self.schemas) - 1

    def partition_by(self, fields: Sequence[tuple[str, str]] | Sequence[dict[str, Any]]) -> int:
        """A new default spec: pairs of column and transform."""
        taken = sum(len(s["fields"]) for s in self.specs)
        listed = []
        for position, field in enumerate(fields):
            if isinstance(field, dict):
                listed.append(field)
                continue
            column, transform = field
            kind = transform.partition("[")[0]
            name = column if transform == "identity" else f"{column}_{kind}"
            listed.append({"source-id": self.field_id(column), "field-id": 1000 + taken + position, "name": name, "transform": transform})
        self.specs.append({"spec-id": len(self.specs), "fields": listed})
        return len(self.specs) - 1

    def field_id(self, name: str) -> int:
        """The id of a column in the newest schema that has it."""
        for schema in reversed(self.schemas):
            for field in schema["fields"]:
                if field["name"] == name:
                    return int(field["id"])
        raise KeyError(name)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The current schema's columns."""
        return parse_fields(self.schemas[-1], "the test")

    def arrow(self) -> pa.Schema:
        """The current schema as files have it."""
        return pa.schema([_file_field(f) for f in self.fields])

    # Files -------------------------------------------------------------------------------------------------------------------------------------------

    def path(self, name: str) -> str:
        """A file of the table as its metadata names it."""
        return f"{self.location}/{name}"

    def data_file(
        self,
        rows: Mapping[str, Sequence[Any]] | pa.Table,
        *,
        partition: Sequence[Any] | None = None,
        spec_id: int | None = None,
        name: str | None = None,
        metrics: bool | Sequence[str] = True,
        with_ids: bool = True,
        row_group_size: int | None = None,
        **over: Any,
    ) -> dict[str, Any]:
        """Writes a Parquet file of these columns and gives its entry's data_file. metrics: columns that have some, True for all."""
        table = rows if isinstance(rows, pa.Table) else self.table(rows)
        self._files += 1
        name = name or f"data/file-{self._files}.parquet"
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table if with_ids else _without_ids(table), target, row_group_size=row_group_size or 1 << 20)
        measured = table.column_names if metrics is True else list(metrics or ())
        spec_id = len(self.specs) - 1 if spec_id is None else spec_id
        return {
            "content": 0,
            "file_path": self.path(name),
            "file_format": "PARQUET",
            "partition": dict(zip([f["name"] for f in self.specs[spec_id]["fields"]], partition or (), strict=True)),
            "record_count": table.num_rows,
            "file_size_in_bytes": target.stat().st_size,
            **_metrics(table.select(measured)),
            "_spec_id": spec_id,
            **over,
        }

    def table(self, rows: Mapping[str, Sequence[Any]]) -> pa.Table:
        """Columns of the current schema, with ids; those not given are not there."""
        schema = self.arrow()
        chosen = pa.schema([schema.field(n) for n in rows])
        return pa.table([_array(values, chosen.field(n).type) for n, values in rows.items()], schema=chosen)

    def position_deletes(
        self, rows: Sequence[tuple[str, int]], *, partition: Sequence[Any] | None = None, name: str | None = None, **over: Any
    ) -> dict[str, Any]:
        """A position delete file of these (path, position)."""
        schema = pa.schema([pa.field("file_path", pa.string(), metadata={ID: "2147483546"}), pa.field("pos", pa.int64(), metadata={ID: "2147483545"})])
        table = pa.table([[p for p, _ in rows], [n for _, n in rows]], schema=schema)
        return self.data_file(table, partition=partition, name=name or f"data/deletes-{self._files + 1}.parquet", content=1, **over)

    def equality_deletes(self, rows: Mapping[str, Sequence[Any]] | pa.Table, ids: Sequence[int], **over: Any) -> dict[str, Any]:
        """An equality delete file: rows, of which the columns with these ids are compared."""
        return self.data_file(rows, content=2, equality_ids=list(ids), **over)

    def vector(
        self, data_file: Mapping[str, Any], positions: Iterable[int], *, name: str | None = None, blob: bytes | None = None, **over: Any
    ) -> dict[str, Any]:
        """A deletion vector of a data file, in a Puffin file of its own. blob: what is written instead of it."""
        bitmap = pyroaring.BitMap64(positions)
        content = vector_blob(bitmap) if blob is None else blob
        self._files += 1
        name = name or f"data/vectors-{self._files}.puffin"
        (self.root / name).write_bytes(b"PFA1" + content + b"PFA1")
        return {
            "content": 1,
            "file_path": self.path(name),
            "file_format": "PUFFIN",
            "partition": data_file["partition"],
            "record_count": len(bitmap),
            "file_size_in_bytes": len(content) + 8,
            "referenced_data_file": data_file["file_path"],
            "content_offset": 4,
            "content_size_in_bytes": len(content),
            "_spec_id": data_file["_spec_id"],
            **over,
        }

    # Commits -----------------------------------------------------------------------------------------------------------------------------------------

    def commit(self, added: Sequence[dict[str, Any]] = (), *, keep: bool = True, operation: str = "append", **over: Any) -> int:
        """A snapshot with these files added: one manifest for data and one for deletes of each spec, behind those there are already (where they are kept)."""
        self.sequence += 1
        snapshot_id = 101 + len(self.snapshots)
        groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for file in added:
            groups.setdefault((file["_spec_id"], int(file["content"] != 0)), []).append({"status": ADDED, "snapshot_id": snapshot_id, "data_file": file})
        manifests = [self.manifest(entries, content=content, spec_id=spec_id, snapshot_id=snapshot_id) for (spec_id, content), entries in groups.items()]
        self.manifests = [*manifests, *(self.manifests if keep else ())]
        return self.snapshot(snapshot_id, self.manifests, operation=operation, **over)

    def manifest(
        self,
        entries: Sequence[dict[str, Any]],
        *,
        content: int = 0,
        spec_id: int | None = None,
        snapshot_id: int | None = None,
        version: int | None = None,
        codec: str = "deflate",
        header: Mapping[str, bytes] | None = None,
        edit: Any = None,
        **over: Any,
    ) -> dict[str, Any]:
        """Writes a manifest of these entries and gives its row of a manifest list. edit: changes the Avro schema before it is used."""
        version = self.version if version is None else version
        spec_id = len(self.specs) - 1 if spec_id is None else spec_id
        spec = self.specs[spec_id]
        schema = entry_schema(version, spec, self.types())
        if edit is not None:
            edit(schema)
        self._files += 1
        name = f"metadata/manifest-{self._files}.avro"
        said = {
            "schema": json.dumps(self.schemas[-1]).encode(),
            "partition-spec": json.dumps(spec["fields"]).encode(),
            "partition-spec-id": str(spec_id).encode(),
            "format-version": str(version).encode(),
            "content": b"deletes" if content else b"data",
        }
        records = [{**e, "data_file": {**e["data_file"], "partition": _stored(e["data_file"]["partition"], spec, self.types())}} for e in entries]
        (self.root / name).write_bytes(container(schema, records, codec=codec, metadata=said if header is None else header))
        live = [e for e in entries if e["status"] != DELETED]
        row = {
            "manifest_path": self.path(name),
            "manifest_length": (self.root / name).stat().st_size,
            "partition_spec_id": spec_id,
            "content": content,
            "sequence_number": self.sequence,
            "min_sequence_number": min((e.get("sequence_number") or self.sequence for e in live), default=self.sequence),
            "added_snapshot_id": snapshot_id or 101 + len(self.snapshots),
            "added_files_count": sum(e["status"] == ADDED for e in entries),
            "existing_files_count": sum(e["status"] == EXISTING for e in entries),
            "deleted_files_count": sum(e["status"] == DELETED for e in entries),
            "added_rows_count": 0,
            "existing_rows_count": 0,
            "deleted_rows_count": 0,
            "partitions": _summaries(live, spec, self.types()),
            **over,
        }
        if self.version >= 3 and content == 0 and "first_row_id" not in over:
            row["first_row_id"] = self.next_row_id
            self.next_row_id += sum(e["data_file"]["record_count"] for e in live if e["data_file"].get("first_row_id") is None)
        return row

    def snapshot(
        self,
        snapshot_id: int,
        manifests: Sequence[dict[str, Any]] | None,
        *,
        operation: str = "append",
        current: bool = True,
        listed: Sequence[str] | None = None,
        **over: Any,
    ) -> int:
        """Writes a manifest list and a metadata file with the snapshot, current unless said otherwise. listed: paths of manifests in place of a list. `over`:
        fields of the snapshot.
        """
        self.sequence = max(self.sequence, 1)
        self.commits += 1
        stamp = 1_700_000_000_000 + 60_000 * self.commits
        made: dict[str, Any] = {"snapshot-id": snapshot_id, "timestamp-ms": stamp, "summary": {"operation": operation}, "schema-id": len(self.schemas) - 1}
        if self.current is not None:
            made["parent-snapshot-id"] = self.current
        if manifests is not None:
            name = f"metadata/snap-{snapshot_id}-{self.commits}.avro"
            (self.root / name).write_bytes(container(list_schema(self.version), manifests, codec="deflate"))
            made["manifest-list"] = self.path(name)
        if listed is not None:
            made["manifests"] = list(listed)
        if self.version >= 2:
            made["sequence-number"] = self.sequence
        if self.version >= 3:
            made |= {"first-row-id": 0, "added-rows": 0}
        made |= over
        self.snapshots.append(made)
        if current:
            self.current = snapshot_id
            self.log.append({"timestamp-ms": made["timestamp-ms"], "snapshot-id": snapshot_id})
        self.write()
        return snapshot_id

    def metadata(self) -> dict[str, Any]:
        """The table metadata as it stands."""
        raw: dict[str, Any] = {
            "format-version": self.version,
            "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
            "location": self.location,
            "last-updated-ms": 1_700_000_000_000 + 60_000 * self.commits,
            "last-column-id": self._next_field_id - 1,
            "schemas": self.schemas,
            "current-schema-id": len(self.schemas) - 1,
            "partition-specs": self.specs,
            "default-spec-id": len(self.specs) - 1,
            "last-partition-id": 999 + sum(len(s["fields"]) for s in self.specs),
            "sort-orders": [{"order-id": 0, "fields": []}],
            "default-sort-order-id": 0,
            "properties": self.properties,
            "current-snapshot-id": -1 if self.current is None else self.current,
            "snapshots": self.snapshots,
            "snapshot-log": self.log,
            "metadata-log": self.metadata_log,
            "refs": self.refs,
        }
        if self.version == 1:
            raw |= {"schema": self.schemas[-1], "partition-spec": self.specs[-1]["fields"]}
        else:
            raw["last-sequence-number"] = self.sequence
        if self.version >= 3:
            raw["next-row-id"] = self.next_row_id
        return raw

    def write(self, *, name: str | None = None, raw: Mapping[str, Any] | None = None, compressed: bool = False, hint: str | None = "") -> Path:
        """Writes the metadata file, v<number of commits> unless named, and a version hint (None for none)."""
        content = json.dumps(raw or self.metadata()).encode()
        target = self.root / "metadata" / (name or f"v{max(self.commits, 1)}.metadata.json")
        target.write_bytes(gzip.compress(content) if compressed else content)
        if hint is not None:
            (self.root / "metadata" / "version-hint.text").write_text(hint or str(max(self.commits, 1)))
        return target

    def types(self) -> dict[int, str]:
        """The newest type of every column there ever was, by id."""
        return {f["id"]: f["type"] for s in self.schemas for f in s["fields"]}


# Avro schemas --------------------------------------------------------------------------------------------------------------------------------------------


def _field(name: str, type_: Any, id_: int, *, optional: bool = True) -> dict[str, Any]:
    return {"name": name, "type": ["null", type_] if optional else type_, "field-id": id_} | ({"default": None} if optional else {})


def _map(name: str, key_id: int, value: str) -> dict[str, Any]:
    fields = [_field("key", "int", key_id, optional=False), _field("value", value, key_id + 1, optional=False)]
    return {"type": "array", "logicalType": "map", "items": {"type": "record", "name": f"k{key_id}_v{key_id + 1}", "fields": fields}}


def entry_schema(version: int, spec: Mapping[str, Any], types: Mapping[int, Any]) -> dict[str, Any]:
    """The schema of manifest entries of a format version, for files of a spec."""
    partition = {"type": "record", "name": "r102", "fields": [_field(f["name"], avro_type(f, types), f["field-id"]) for f in spec["fields"]]}
    file = [
        *([_field("content", "int", 134, optional=False)] if version >= 2 else []),
        _field("file_path", "string", 100, optional=False),
        _field("file_format", "string", 101, optional=False),
        _field("partition", partition, 102, optional=False),
        _field("record_count", "long", 103, optional=False),
        _field("file_size_in_bytes", "long", 104, optional=False),
        _field("column_sizes", _map("column_sizes", 117, "long"), 108),
        _field("value_counts", _map("value_counts", 119, "long"), 109),
        _field("null_value_counts", _map("null_value_counts", 121, "long"), 110),
        _field("nan_value_counts", _map("nan_value_counts", 138, "long"), 137),
        _field("lower_bounds", _map("lower_bounds", 126, "bytes"), 125),
        _field("upper_bounds", _map("upper_bounds", 129, "bytes"), 128),
        _field("split_offsets", {"type": "array", "items": "long", "element-id": 133}, 132),
    ]
    if version >= 2:
        file += [_field("equality_ids", {"type": "array", "items": "int", "element-id": 136}, 135), _field("referenced_data_file", "string", 143)]
    if version >= 3:
        file += [_field("first_row_id", "long", 142), _field("content_offset", "long", 144), _field("content_size_in_bytes", "long", 145)]
    entry = [_field("status", "int", 0, optional=False), _field("snapshot_id", "long", 1)]
    if version >= 2:
        entry += [_field("sequence_number", "long", 3), _field("file_sequence_number", "long", 4)]
    entry.append(_field("data_file", {"type": "record", "name": "r2", "fields": file}, 2, optional=False))
    return {"type": "record", "name": "manifest_entry", "fields": entry}


def list_schema(version: int) -> dict[str, Any]:
    """The schema of manifest lists of a format version."""
    summary = [
        _field("contains_null", "boolean", 509, optional=False),
        _field("contains_nan", "boolean", 518),
        _field("lower_bound", "bytes", 510),
        _field("upper_bound", "bytes", 511),
    ]
    fields = [
        _field("manifest_path", "string", 500, optional=False),
        _field("manifest_length", "long", 501, optional=False),
        _field("partition_spec_id", "int", 502, optional=False),
        *(
            [_field("content", "int", 517, optional=False), _field("sequence_number", "long", 515), _field("min_sequence_number", "long", 516)]
            if version >= 2
            else []
        ),
        _field("added_snapshot_id", "long", 503),
        *(_field(n, "int", i) for n, i in (("added_files_count", 504), ("existing_files_count", 505), ("deleted_files_count", 506))),
        *(_field(n, "long", i) for n, i in (("added_rows_count", 512), ("existing_rows_count", 513), ("deleted_rows_count", 514))),
        _field("partitions", {"type": "array", "items": {"type": "record", "name": "r508", "fields": summary}, "element-id": 508}, 507),
        *([_field("first_row_id", "long", 520)] if version >= 3 else []),
    ]
    return {"type": "record", "name": "manifest_file", "fields": fields}


def avro_type(field: Mapping[str, Any], types: Mapping[int, Any]) -> Any:
    """The Avro type of a partition field's values."""
    transform = field["transform"]
    if transform == "day":
        return {"type": "int", "logicalType": "date"}
    if transform.startswith("bucket") or transform in ("year", "month", "hour"):
        return "int"
    source = types.get(field.get("source-id", -1), "string")
    plain = {
        "date": {"type": "int", "logicalType": "date"},
        "boolean": "boolean",
        "int": "int",
        "long": "long",
        "float": "float",
        "double": "double",
        "string": "string",
        "binary": "bytes",
    }
    if source in plain:
        return plain[source]
    if source.startswith("timestamp"):
        return {"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": "tz" in source}
    if source == "time":
        return {"type": "long", "logicalType": "time-micros"}
    if source == "uuid":
        return {"type": "fixed", "name": f"uuid_{field['field-id']}", "size": 16, "logicalType": "uuid"}
    if source.startswith("decimal"):
        precision, scale = (int(n) for n in source[8:-1].split(","))
        return {"type": "fixed", "name": f"dec_{field['field-id']}", "size": 16, "logicalType": "decimal", "precision": precision, "scale": scale}
    return "bytes"


# Values --------------------------------------------------------------------------------------------------------------------------------------------------


def vector_blob(bitmap: pyroaring.BitMap64) -> bytes:
    """A deletion-vector-v1 blob."""
    body = b"\xd1\xd3\x39\x64" + bitmap.serialize()
    return struct.pack(">I", len(body)) + body + struct.pack(">I", zlib.crc32(body))


def unscaled(value: Decimal, scale: int) -> int:
    """A decimal's digits as a whole number, all of them."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    return int("".join(map(str, digits))) * 10 ** (exponent + scale) * (-1 if sign else 1)


def bound(value: pa.Scalar) -> bytes:
    """A value in binary single-value form."""
    type_ = value.type
    if pa.types.is_boolean(type_):
        return b"\x01" if value.as_py() else b"\0"
    if pa.types.is_decimal(type_):
        number = unscaled(value.as_py(), type_.scale)
        return number.to_bytes(max(1, (number + (number < 0)).bit_length() // 8 + 1), "big", signed=True)
    if pa.types.is_floating(type_):
        return struct.pack("<f" if type_.bit_width == 32 else "<d", value.as_py())
    if pa.types.is_integer(type_) or pa.types.is_temporal(type_):
        number = value.value if pa.types.is_temporal(type_) else value.as_py()
        return int(number).to_bytes(type_.bit_width // 8, "little", signed=True)
    content: bytes = value.as_buffer().to_pybytes()
    return content


def _metrics(table: pa.Table) -> dict[str, Any]:
    """Metrics of every column of plain type, as maps of key and value records."""
    maps: dict[str, list[dict[str, Any]]] = {
        n: [] for n in ("column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds")
    }
    for field in table.schema:
        if pa.types.is_nested(field.type) or pa.types.is_null(field.type):
            continue
        key, values = int(field.metadata[ID.encode()]), [v for v in table[field.name] if v.is_valid]
        is_float = pa.types.is_floating(field.type)
        nans = [v for v in values if is_float and v.as_py() != v.as_py()]
        sortable = sorted((v for v in values if v not in nans), key=_order)
        maps["column_sizes"].append({"key": key, "value": 10})
        maps["value_counts"].append({"key": key, "value": table.num_rows})
        maps["null_value_counts"].append({"key": key, "value": table.num_rows - len(values)})
        if is_float:
            maps["nan_value_counts"].append({"key": key, "value": len(nans)})
        if sortable:
            maps["lower_bounds"].append({"key": key, "value": bound(sortable[0])})
            maps["upper_bounds"].append({"key": key, "value": bound(sortable[-1])})
    return maps


def _order(value: pa.Scalar) -> Any:
    if pa.types.is_temporal(value.type):
        return value.value
    plain = value.as_py()
    return plain.encode() if isinstance(plain, str) else plain


def _stored(partition: Mapping[str, Any], spec: Mapping[str, Any], types: Mapping[int, Any]) -> dict[str, Any]:
    """Partition values as Avro holds them."""
    stored = {}
    for field in spec["fields"]:
        value = partition.get(field["name"])
        if isinstance(value, Decimal):
            scale = int(types[field["source-id"]][8:-1].split(",")[1])
            value = unscaled(value, scale).to_bytes(16, "big", signed=True)
        stored[field["name"]] = stored[legal_name(field["name"])] = value
    return stored


def _summaries(live: Sequence[dict[str, Any]], spec: Mapping[str, Any], types: Mapping[int, Any]) -> list[dict[str, Any]]:
    """One summary per partition field."""
    summaries = []
    for field in spec["fields"]:
        values = [e["data_file"]["partition"].get(field["name"]) for e in live]
        known = [v for v in values if v is not None and v == v]
        type_ = _result_type(field, types)
        nans = any(v is not None and v != v for v in values)
        made: dict[str, Any] = {
            "contains_null": None in values,
            "contains_nan": nans if pa.types.is_floating(type_) else None,
            "lower_bound": None,
            "upper_bound": None,
        }
        if known:
            least, most = min(known, key=_raw_order), max(known, key=_raw_order)
            made |= {"lower_bound": bound(_scalar(least, type_)), "upper_bound": bound(_scalar(most, type_))}
        summaries.append(made)
    return summaries


def _raw_order(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def _result_type(field: Mapping[str, Any], types: Mapping[int, Any]) -> pa.DataType:
    transform = field["transform"]
    if transform.startswith("bucket") or transform in ("year", "month", "day", "hour"):
        return pa.int32()
    from lakesql.formats.iceberg.types import parse_type

    source = parse_type(types.get(field.get("source-id", -1), "string"), "the test", "")
    assert isinstance(source, Primitive)
    return source.arrow


def _scalar(value: Any, type_: pa.DataType) -> pa.Scalar:
    if pa.types.is_temporal(type_) and isinstance(value, int):
        return pa.array([value], pa.int32() if type_.bit_width == 32 else pa.int64()).view(type_)[0]
    return pa.scalar(value, type_)


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_temporal(type_) and all(v is None or isinstance(v, int) for v in values):
        return pa.array(list(values), pa.int32() if type_.bit_width == 32 else pa.int64()).view(type_)
    return pa.array(list(values), type_)


def _file_field(field: Field) -> pa.Field:
    type_ = pa.struct([_file_field(f) for f in field.type.fields]) if isinstance(field.type, Struct) else arrow_type(field.type)
    return pa.field(field.name, type_, metadata={ID: str(field.id)})


def _without_ids(table: pa.Table) -> pa.Table:
    return table.cast(pa.schema([pa.field(f.name, f.type) for f in table.schema]))
