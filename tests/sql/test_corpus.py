"""Every statement of the corpus parses, mentions the one table it reads, and renders without what is lakesql's own."""

from __future__ import annotations

import re

from conformance.cases import corpus, load

from lakesql import sql


def test_every_statement_of_the_corpus() -> None:
    root, _ = corpus()
    texts = {read.sql for case in load(root) for read in case.reads}
    assert texts
    for text in texts:
        statement = sql.parse(text)
        assert statement.kind is sql.Kind.QUERY
        (mention,) = statement.mentions
        assert mention.name == ("t",)
        assert (mention.metadata is not None) == ('"t$' in text)
        assert (mention.at is not None) == (" AS OF " in text)
        assert (mention.changes is not None) == (" CHANGES FROM " in text)
        assert bool(mention.options) == ("/*+ OPTIONS(" in text)
        rendered = sql.render(statement, {mention: sql.Replacement("__t")}).text
        assert not re.search(r"AS OF|CHANGES FROM|WITH \(", rendered)
        assert rendered.partition(" FROM ")[0] == text.partition(" FROM ")[0]
