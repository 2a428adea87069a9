"""lakesql in notebooks: `%load_ext lakesql`, then `%sql` and `%%sql`.

    1. line        line.parse           what stands behind the magic -> Request: options, the name to assign, the SQL
    2. variables   variables            `{{name}}` in the SQL -> a quoted identifier; `:name` -> a value of the notebook, bound by the engine
    3. connections connections          which session runs it; opened when it is first needed
    4. as of       moments              `--as-of` -> a session at an instant, or the text with the versions of an earlier result
    5. waiting     waiting              the session's work in a thread: the notebook hears Stop, and a progress line is kept up to date
    6. result      results              the rows taken so far, shown as HTML and text, given as Arrow, pandas or polars

`magic.LakesqlMagic` conducts. IPython is loaded here and in no other part of lakesql.
"""
