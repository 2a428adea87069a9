"""The engine on pyarrow alone: relations as streams of record batches, for datasets that other programs scan.

    filters.py   pyarrow's filter expressions -> predicates
    narrowing.py relations that need nothing more but files, and of fewer columns
    plan.py      Relation -> Stream: a schema, and parts that can be read apart, from any thread
    stream.py    parts -> batches, several parts at once
    files.py     the rows of data files
    values.py    expressions over a batch, casts
    keys.py      rows as numbers by their keys: what equals what
    merges.py    WithoutPositions, AtPositions, WithoutKeys, LatestByKey, MergeByKey, Beside
    changes.py   RowChanges

It runs no SQL. Planning and reading a stream call no other engine, so that one may scan it; what takes DataFusion (Avro files) is done by `settled`.
"""
