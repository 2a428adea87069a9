"""What a protocol asks of a reader."""

from __future__ import annotations

from typing import Any

import pytest

from formats.delta.corpus_log import case_name, commits, delta_tables
from lakesql.errors import Error, MetadataError, UnsupportedFeatureError
from lakesql.formats.delta.features import READABLE, Features, check_protocol
from lakesql.formats.delta.schema import ColumnMapping


def check(protocol: dict[str, Any], **configuration: str) -> Features:
    return check_protocol(protocol, {k.replace("__", "."): v for k, v in configuration.items()}, version=4, location="/lake/t")


def listed(*reader: str, writer: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": list(reader), "writerFeatures": [*reader, *writer]}


def test_a_plain_table_asks_for_nothing() -> None:
    features = check({"minReaderVersion": 1, "minWriterVersion": 2})
    assert features == Features(ColumnMapping.NONE, False, False, None, None, False, None, None, False, ())


@pytest.mark.parametrize("name", sorted(READABLE))
def test_readable_features(name: str) -> None:
    assert check(listed(name)).warnings == ()


@pytest.mark.parametrize(
    "name",
    [
        "appendOnly",
        "invariants",
        "checkConstraints",
        "changeDataFeed",
        "generatedColumns",
        "allowColumnDefaults",
        "identityColumns",
        "rowTracking",
        "domainMetadata",
        "clustering",
        "icebergCompatV1",
        "icebergCompatV2",
        "icebergCompatV3",
        "icebergWriterCompatV1",
        "inCommitTimestamp",
        "checkpointProtection",
        "materializePartitionColumns",
        "columnMappingUsageTracking",
        "redirectWriterOnly-preview",
        "neverHeardOf",
    ],
)
def test_features_of_writers_do_not_stop_readers(name: str) -> None:
    assert check({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [name]}) == check({"minReaderVersion": 1, "minWriterVersion": 2})


@pytest.mark.parametrize("name", ["quantumLayout", "timestampNanos", "adaptiveMetadata-preview", "catalogOwned"])
def test_an_unknown_reader_feature_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=rf"reader feature {name} is not supported: table /lake/t, version 4 requires it") as caught:
        check(listed("deletionVectors", name))
    assert caught.value.feature == name
    assert caught.value.hint


def test_several_unknown_features_are_all_named() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"reader features one, two are not supported"):
        check(listed("one", "deletionVectors", "two"))


@pytest.mark.parametrize("name", ["catalogManaged", "catalogOwned-preview"])
def test_a_catalog_must_be_asked(name: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"the table is managed by a catalog, which must be asked") as caught:
        check(listed("vacuumProtocolCheck", name, "unheardOf"))
    assert caught.value.feature == name


def test_a_redirect_names_its_target() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"redirects readers to another table .*s3://b/new"):
        check(listed("redirectReaderWriter-preview"), **{"delta__redirectReaderWriter-preview": '{"path":"s3://b/new"}'})


@pytest.mark.parametrize("version", [4, 5, 99])
def test_a_reader_version_beyond_three(version: int) -> None:
    with pytest.raises(UnsupportedFeatureError, match=rf"reader protocol version {version} is not supported: table /lake/t, version 4"):
        check({"minReaderVersion": version, "minWriterVersion": 7, "readerFeatures": [], "writerFeatures": []})


def test_reader_version_three_needs_its_list() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"without a list of reader features"):
        check({"minReaderVersion": 3, "minWriterVersion": 7, "writerFeatures": []})
    assert not check({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": []}).deletion_vectors


@pytest.mark.parametrize(
    "protocol",
    [{}, {"minReaderVersion": None}, {"minReaderVersion": "1"}, {"minReaderVersion": True}, {"minReaderVersion": 0}, {"minReaderVersion": 1.0}]
    + [{"minReaderVersion": 3, "readerFeatures": bad} for bad in ("deletionVectors", [1], {"a": 1})],
)
def test_what_is_no_protocol(protocol: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match=r"protocol of table /lake/t, version 4"):
        check(protocol)


@pytest.mark.parametrize(
    ("protocol", "mode", "expected"),
    [
        ({"minReaderVersion": 2, "minWriterVersion": 5}, "name", ColumnMapping.NAME),
        ({"minReaderVersion": 2, "minWriterVersion": 5}, "ID", ColumnMapping.ID),
        ({"minReaderVersion": 2, "minWriterVersion": 5}, "none", ColumnMapping.NONE),
        (listed("columnMapping"), "id", ColumnMapping.ID),
        (listed("deletionVectors"), "id", ColumnMapping.NONE),
        (listed(writer=("columnMapping", "icebergCompatV1")), "name", ColumnMapping.NAME),
        ({"minReaderVersion": 1, "minWriterVersion": 2}, "name", ColumnMapping.NONE),
    ],
)
def test_column_mapping_needs_the_protocol(protocol: dict[str, Any], mode: str, expected: ColumnMapping) -> None:
    features = check(protocol, delta__columnMapping__mode=mode)
    assert features.column_mapping is expected
    assert bool(features.warnings) == (expected is ColumnMapping.NONE and mode != "none")


def test_an_unknown_mode_of_column_mapping() -> None:
    with pytest.raises(MetadataError, match=r"delta.columnMapping.mode is 'position'; expected none, name or id"):
        check(listed("columnMapping"), delta__columnMapping__mode="position")


def test_row_tracking_needs_feature_and_property() -> None:
    names = {"delta__rowTracking__materializedRowIdColumnName": "_id", "delta__rowTracking__materializedRowCommitVersionColumnName": "_v"}
    on = check(listed(writer=("rowTracking", "domainMetadata")), delta__enableRowTracking="TRUE", **names)
    assert (on.row_tracking, on.materialized_row_id, on.materialized_row_commit_version) == (True, "_id", "_v")
    off = check(listed(writer=("rowTracking", "domainMetadata")), delta__enableRowTracking="false", **names)
    assert (off.row_tracking, off.materialized_row_id) == (False, None)
    assert not check(listed(), delta__enableRowTracking="true").row_tracking


def test_in_commit_timestamps() -> None:
    since = {"delta__inCommitTimestampEnablementVersion": "7", "delta__inCommitTimestampEnablementTimestamp": "1700000000000"}
    on = check(listed(writer=("inCommitTimestamp",)), delta__enableInCommitTimestamps="True", **since)
    assert (on.in_commit_timestamps, on.ict_enablement_version, on.ict_enablement_timestamp_ms) == (True, 7, 1_700_000_000_000)
    always = check(listed(writer=("inCommitTimestamp",)), delta__enableInCommitTimestamps="true")
    assert (always.in_commit_timestamps, always.ict_enablement_version) == (True, None)
    assert not check(listed(writer=("inCommitTimestamp",))).in_commit_timestamps
    with pytest.raises(MetadataError, match=r"delta.inCommitTimestampEnablementVersion is 'soon'"):
        check(listed(writer=("inCommitTimestamp",)), delta__enableInCommitTimestamps="true", delta__inCommitTimestampEnablementVersion="soon")


def test_other_capabilities() -> None:
    assert check(listed("deletionVectors")).deletion_vectors
    assert check(listed(writer=("collations",))).collations
    assert check(listed(writer=("collations-preview",))).collations
    assert check(listed("variantType", "variantShredding-preview")).variant_shredding


def test_coordinated_commits_may_be_stale() -> None:
    by_feature = check({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["coordinatedCommits-preview"]})
    by_property = check(listed(), **{"delta__coordinatedCommits__commitCoordinator-preview": "dynamodb"})
    assert "may be stale" in by_feature.warnings[0]
    assert "coordinated by dynamodb" in by_property.warnings[0]


def test_the_corpus_is_refused_where_it_should_be_and_read_elsewhere() -> None:
    refused = set()
    for table in delta_tables():
        for commit in commits(table):
            if commit.protocol is not None and commit.metadata is not None:
                try:
                    check_protocol(commit.protocol, commit.metadata.get("configuration") or {}, version=commit.version, location=str(table))
                except Error:
                    refused.add(case_name(table))
    assert refused == {
        "golden-deltalog-invalid-protocol-version",
        "gen-negative-unknown-reader-feature",
        "kj-catalog-owned-preview",
        "kj-workload_specs-basic_catalog_managed",
        "krs-catalog_managed_0",
        "rs-err_logs-table_d",
        "rs-simple_table_features",
    }
