"""Predicate x bounds -> the files that may hold a matching row, and the reason for every other. Vectorised; does no I/O.

A verdict has three values for each candidate: no row matches, some may (or nothing is known), every row does. Only a proof drops: missing or cut bounds,
NaN and casts that may fail keep. What is tested may be data files or manifests: anything with bounds.

    bounds.py     what a format offers: Bounds, Candidates, Narrowable
    ranges.py     the bounds of a column, checked, in storage types that compare by value
    terms.py      casts and date_trunc applied to ranges
    places.py     where a literal lies among the values of another type, exactly
    evaluate.py   a predicate over ranges -> two masks: some row may match, every row does
    verdict.py    the conjunction: partition columns first, then statistics of what is left; reasons
"""

from __future__ import annotations

from lakesql.pruning.bounds import Bounds, Candidates, Narrowable, TableBounds
from lakesql.pruning.verdict import Verdict, prune

__all__ = ["Bounds", "Candidates", "Narrowable", "TableBounds", "Verdict", "prune"]
