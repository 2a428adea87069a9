"""The embedded engine, on Apache DataFusion.

plan.py         one native scan over any list of files
bound.py        an optimised plan -> what each scan needs
expressions.py  DataFusion expressions -> predicates
lower.py        relations -> DataFrames
layouts.py      which columns a file really has, by field id
engine.py       the session context; bind, run
stream.py       a running statement, cancellable
faults.py       DataFusion's messages -> lakesql's errors
"""
