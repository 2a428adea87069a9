"""What lakesql can do, in the words of SQLAlchemy's suite; each requirement that is closed says why."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

CLOSED = {
    "lakesql only reads: the suite's writer (dialect.py) makes tables and plain rows, no more": (
        "autoincrement_insert autoincrement_without_sequence ctes_on_dml delete_from delete_from_returning delete_returning empty_inserts "
        "empty_inserts_executemany fetch_rows_post_commit implements_get_lastrowid insert_executemany_returning insert_from_select insert_order_dicts "
        "insert_returning lastrowid multivalues_inserts rowcount_always_cached sane_multi_rowcount sane_rowcount standard_cursor_sql "
        "supports_sane_rowcount temp_table_reflection temp_table_names temporary_tables temporary_views update_from update_returning "
        "update_where_target_in_subquery dbapi_lastrowid ctes_with_update_delete insert_values_returning create_table_as create_table drop_table "
        "duplicate_key_raises_integrity_error"
    ),
    "a lake has no keys, indexes, constraints, defaults or sequences": (
        "check_constraint_reflection check_constraints cross_schema_fk_reflection foreign_keys foreign_key_constraint_reflection "
        "foreign_key_constraint_option_reflection_ondelete foreign_key_constraint_option_reflection_onupdate implicitly_named_constraints "
        "index_reflection indexes_with_ascdesc inline_check_constraint_reflection primary_key_constraint_reflection reflects_indexes_w_sorting "
        "reflect_indexes_with_expressions self_referential_foreign_keys sequences sequences_optional server_side_default unique_constraint_reflection "
        "unique_constraints_reflect_as_index named_constraints computed_columns identity_columns server_defaults unique_index_reflect_as_unique_constraints"
    ),
    "there are no transactions, savepoints or isolation levels": (
        "transactional_ddl savepoints isolation_level autocommit get_isolation_level two_phase_transactions independent_readonly_connections "
        "independent_connections isolation_level_test legacy_isolation_level ad_hoc_engines pre_ping_if_autocommit"
    ),
    "the suite's writer makes tables of one schema, without comments": "schemas comment_reflection cross_schema comment_reflection_full_unicode",
    "a view lives in its session, and the suite looks for it from another": "views materialized_views view_column_reflection view_reflection",
    "Delta has no type for it": (
        "time time_microseconds time_timezone json_type json_array_indexes interval native_interval datetime_interval array_type uuid_data_type "
        "datetime_timezone timestamp_microseconds_timezone"
    ),
    "Delta keeps 38 digits, and a scale for all values of a column": (
        "precision_numerics_enotation_large precision_numerics_many_significant_digits precision_numerics_retains_significant_digits "
        "precision_generic_float_type infinity_floats"
    ),
    "the engine takes no other escape character in LIKE than the backslash": "like_escapes",
    "the engine refuses two columns of one name": "duplicate_names_in_cursor_description",
    "the type does not keep how long a text may be": "varchar_reflection cast_precision_numerics_many_significant_digits",
}


def _closed(reason: str) -> property:
    return property(lambda self: exclusions.skip_if(lambda config: True, reason))


class Requirements(SuiteRequirements):
    """SuiteRequirements, without what CLOSED lists."""


for _reason, _names in CLOSED.items():
    for _name in _names.split():
        if hasattr(SuiteRequirements, _name):
            setattr(Requirements, _name, _closed(_reason))

REASONS: dict[str, Any] = {name: reason for reason, names in CLOSED.items() for name in names.split()}

LEFT_OUT = {
    "a lake has no primary keys, and the test wants one without asking whether there are any": (
        r"ComponentReflectionTest::test_get_multi_columns\[\w+-ObjectKind\.(ANY|TABLE).*-ObjectScope\.(ANY|DEFAULT)-",
        "ComponentReflectionTest::test_autoincrement_col",
    ),
    "columns of Delta tables are all read as nullable: files and schemas disagree about it": ("ComponentReflectionTestExtra::test_nullable_reflection",),
    "the type does not keep how long a text may be": ("ComponentReflectionTestExtra::test_string_length_reflection",),
    "a view lives in its session, and the suite looks for it from another": ("ComponentReflectionTest::test_get_view_names",),
    "there are no indexes": ("LongNameBlowoutTest::test_long_convention_name",),
    "lakesql only reads: CREATE TABLE AS is refused, as it should be": ("TableViaSelectTest::test_without_metadata",),
    "the suite's writer does not make rows of literals that are written into an INSERT, or of SQL expressions": (
        "BooleanTest::test_render_literal_bool",
        "CastTypeDecoratorTest::test_special_type",
        "IntegerTest::test_literal$",
        "NumericTest::test_render_literal_(float|numeric)",
        "StringTest::test_literal(_backslashes|_non_ascii|_quoting)?$",
        "TextTest::test_literal(_backslashes|_non_ascii|_quoting|_percentsigns)?$",
        "UnicodeTextTest::test_literal(_non_ascii)?$",
        "UnicodeVarcharTest::test_literal(_non_ascii)?$",
        "UuidTest::test_literal",
    ),
    "the engine divides decimals of 38 digits only as far as 38 digits go, and gives a double where the test wants a decimal": (
        r"TrueDivTest::test_truediv_divisor\[numeric_(38_digit_divisor-typed|38_digit_divisor-untyped_function|tiny_divisor-untyped_function)\]",
        r"TrueDivTest::test_truediv_(float|numeric)\[5\.52",
    ),
    "the engine gives parameters that are joined with || no type, unless they are cast, as those of a plain a || b are": (
        "StringTest::test_concatenate_clauselist",
    ),
}
"""Tests that no requirement governs: patterns of their names."""
