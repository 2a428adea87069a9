"""The embedded engine, on Apache DataFusion.

engine.py       the session context; bind, run
bound.py        an optimised plan -> what each scan needs
expressions.py  DataFusion expressions -> predicates
lower.py        relations -> DataFrames
plan.py         one native scan over any list of files
merge.py        joins and merges by key, as SQL
threads.py      the threads that all of it runs in
stream.py       a running statement, cancellable
stores.py       object stores for data files
faults.py       DataFusion's messages -> lakesql's errors
"""
