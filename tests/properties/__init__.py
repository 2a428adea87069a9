"""Laws tried on random tables and predicates: `values` says what is in a table, `tables` writes it as a lakehouse table, `predicates` asks about it."""
