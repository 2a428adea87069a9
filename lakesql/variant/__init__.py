"""Variants: values of any shape in a column, as Parquet stores them, given as JSON text. Whole columns at a time; knows no table format and no engine.

    text.py       a typed column -> the JSON text of each value
    binary.py     metadata and value bytes -> JSON text, level by level of nesting
    shredded.py   typed_value columns, put together with what is left in value

The text is what Spark's `to_json` prints in the time zone UTC. Source: Parquet, "Variant Binary Encoding" and "Variant Shredding".
"""

from __future__ import annotations

from lakesql.variant.shredded import to_json

__all__ = ["to_json"]
