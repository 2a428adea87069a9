"""Settings of the property tests here: the machine may be busy, so slowness is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A decorator for tests under `given`."""
