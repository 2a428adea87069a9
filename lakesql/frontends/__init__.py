"""Ways to ask: the command line, the Python DB-API, and the renderers they share. Front ends hold no query logic; everything goes through `session.py`."""
