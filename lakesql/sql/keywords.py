"""Words that decide where one part of a query ends and another begins."""

from __future__ import annotations

from lakesql.sql.tokens import words

QUERY_STARTS = words("SELECT WITH FROM VALUES TABLE")
SET_OPERATIONS = words("UNION INTERSECT EXCEPT MINUS")
CLAUSE_WORDS = SET_OPERATIONS | words(
    "SELECT FROM WHERE GROUP HAVING ORDER LIMIT OFFSET FETCH WINDOW QUALIFY ON USING JOIN INNER LEFT RIGHT FULL CROSS NATURAL INTO"
)
"""Words that begin another part of a query."""
ALSO_NAMES = CLAUSE_WORDS - words("FROM SELECT")
"""Those of them that are column names where an operand must come; ORDER and GROUP without BY."""
CALL_WORDS = words("FROM FOR PLACING IN TO USING SEPARATOR ON LIMIT ORDER RETURNING")
"""Words between the operands of EXTRACT, SUBSTRING, TRIM, OVERLAY, POSITION, CEIL, array_agg and their like."""
JOIN_WORDS = words("NATURAL INNER LEFT RIGHT FULL OUTER CROSS SEMI ANTI ASOF GLOBAL POSITIONAL")
"""What may stand before JOIN."""
NO_ITEM_ALIAS = CLAUSE_WORDS | words("FOR SORT CLUSTER DISTRIBUTE WITH LATERAL")
"""Words that are no alias of a select item, unless AS says so."""
NO_TABLE_ALIAS = (
    NO_ITEM_ALIAS
    | JOIN_WORDS
    | words(
        "TABLESAMPLE SAMPLE PIVOT UNPIVOT MATCH_RECOGNIZE MATCH_CONDITION RETURNING SET VALUES APPLY TO STORED PARTITIONED OPTIONS CONNECT START PREWHERE AS"
    )
)
"""Words that are no alias of a table, unless AS says so."""
ENGINE_WORDS = words(
    "ALL ANALYZE ANY CASE CLUSTER CUBE END EXCEPT EXISTS EXPLAIN FETCH GROUP HAVING INTERSECT INTERVAL INTO LATERAL LIMIT MINUS OFFSET ORDER RETURNING ROLLUP "
    "SOME STRUCT TOP TRIM UNION VALUES VIEW WHERE"
)
"""Words that the engine takes for something else in one place or another where a column is meant, unless they are quoted."""
