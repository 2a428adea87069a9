"""SQLAlchemy's own suite for dialects. `test_sqlalchemy_suite.py` runs it, in a process of its own: its pytest plugin is not for other tests."""
