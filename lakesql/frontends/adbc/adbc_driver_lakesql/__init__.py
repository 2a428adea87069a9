"""lakesql by the name that Arrow-minded tools look for.

polars takes Arrow from a connection only where the module of its class begins with `adbc_`. This package holds nothing but such a class, and comes with
lakesql; it is no ADBC driver in the sense of the C interface.

    import adbc_driver_lakesql.dbapi, polars as pl

    with adbc_driver_lakesql.dbapi.connect("path/to/lake") as connection:
        pl.read_database("SELECT * FROM orders", connection)
"""
