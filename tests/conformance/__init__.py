"""The conformance suite: tables that other systems wrote, read through lakesql as a user would, with the answers those systems gave.

`cases` finds and loads the corpus, `judge` compares rows, `refusals` judges errors, `gaps` lists what does not pass yet and why, `test_reads` runs all of
it and `summary` sums up. `choose_cases` makes the bundled tenth in `cases/`.
"""
