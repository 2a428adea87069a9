"""Avro object containers -> Arrow tables: manifests, log blocks and data files of every format that keeps such.

Decoding is the engine's own (DataFusion's `read_avro`), whole columns at a time; what it does not say or check is done here: which fields are read, by name
or by field id; that blocks fill the file and rows fill the blocks; that a file which cannot be decoded is an error that names it, soon. Formats and engines
may import this package; it imports DataFusion, inside `decode.py` alone and on first use.

    container.py   header and blocks, read and checked without decoding a record
    matching.py    the wanted Arrow schema against the writer's: what to ask for, and how to bring what comes back into shape
    plain.py       records one by one, for small files that the decoder refuses
    decode.py      files -> tables, several at once
"""

from __future__ import annotations

from lakesql.avro.container import Header
from lakesql.avro.decode import count, read, read_all, read_header
from lakesql.avro.matching import Match, field_ids

__all__ = ["Header", "Match", "count", "field_ids", "read", "read_all", "read_header"]
