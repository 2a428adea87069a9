"""The proleptic Gregorian calendar beyond the years 1 to 9999, which is all that Python's own dates reach and less than Spark's do."""

from __future__ import annotations

_MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def days_from_civil(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01; None for a date that is not in the calendar.

    >>> days_from_civil(10000, 1, 1), days_from_civil(2023, 2, 29)
    (2932897, None)
    """
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_LENGTHS[month - 1] + (leap and month == 2):
        return None
    # Years are counted from March, so that the leap day is a year's last.
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
