"""Which format is at a place: by markers, by who derived what from whom, and over the whole corpus."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lakesql import formats, sample
from lakesql.errors import AmbiguousTableError, ConfigError, NotATableError, UnsupportedFeatureError
from lakesql.formats import TITLES, evidence, load, recognise
from lakesql.formats.markers import DESCRIPTIONS, MARKERS
from lakesql.storage import LocalStorage, MemoryStorage

CORPUS = Path(os.environ.get("LAKESQL_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")

UNDECIDABLE = {"iceberg/unitycatalog-marksheet_uniform"}
"""The same files as delta/uc-marksheet_uniform, byte for byte: a table of Delta's, with Iceberg metadata that says so. By its path it is a Delta table."""

DELTA = {"/t/_delta_log/00000000000000000000.json": "{}"}
ICEBERG = {"/t/metadata/v1.metadata.json": "{}"}
PAIMON = {"/t/schema/schema-0": "{}", "/t/snapshot/snapshot-1": "{}"}
HUDI = {"/t/.hoodie/hoodie.properties": "", "/t/.hoodie/20260101000000000.commit": "{}"}
LANCE = {"/t/_versions/1.manifest": ""}


def names(*files: dict[str, str]) -> list[str]:
    return [e.format for e in evidence(MemoryStorage({p: c for f in files for p, c in f.items()}), "/t")]


# Markers -----------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "format", "marker"),
    [
        (DELTA, "delta", "_delta_log/"),
        ({"/t/_delta_log/_last_checkpoint": ""}, "delta", "_delta_log/"),
        (ICEBERG, "iceberg", "metadata/v1.metadata.json"),
        ({"/t/metadata/version-hint.text": "3"}, "iceberg", "metadata/version-hint.text"),
        ({"/t/metadata/00003-f00.metadata.json": "", "/t/metadata/0-m0.avro": ""}, "iceberg", "metadata/00003-f00.metadata.json"),
        ({"/t/metadata/v3.gz.metadata.json": ""}, "iceberg", "metadata/v3.gz.metadata.json"),
        ({"/t/metadata/v3.metadata.json.gz": ""}, "iceberg", "metadata/v3.metadata.json.gz"),
        (PAIMON, "paimon", "schema/schema-0"),
        ({"/t/schema/schema-12": ""}, "paimon", "schema/schema-12"),
        (HUDI, "hudi", ".hoodie/hoodie.properties"),
        ({"/t/.hoodie/hoodie.properties.backup": ""}, "hudi", ".hoodie/hoodie.properties.backup"),
        (LANCE, "lance", "_versions/1.manifest"),
        ({"/t/_versions/18446744073709551614.manifest": ""}, "lance", "_versions/18446744073709551614.manifest"),
    ],
)
def test_each_format_is_known_by_its_marker(files: dict[str, str], format: str, marker: str) -> None:
    found = recognise(MemoryStorage(files), "/t")
    assert (found.format, found.marker) == (format, marker)
    assert str(found) == f"{TITLES[format]} ({marker})"


@pytest.mark.parametrize(
    "path",
    [
        "/t/metadata/snap-1.avro",
        "/t/metadata/x.json",
        "/t/schema/schema.sql",
        "/t/schema/schema-x",
        "/t/snapshot/snapshot-1",
        "/t/.hoodie/metadata/x",
        "/t/_versions/readme.txt",
        "/t/data/x.parquet",
        "/t/sub/_delta_log/0.json",
        "/tt/_delta_log/0.json",
    ],
)
def test_what_only_resembles_a_marker_is_none(path: str) -> None:
    assert evidence(MemoryStorage({path: ""}), "/t") == ()


def test_a_metadata_file_may_be_the_table() -> None:
    storage = MemoryStorage(ICEBERG | {"/t/metadata/vfinal.metadata.json": ""})
    assert recognise(storage, "/t/metadata/vfinal.metadata.json").format == "iceberg"
    assert evidence(storage, "/t/metadata/v9.metadata.json") == ()


def test_recognising_reads_no_file_of_a_table_of_one_format() -> None:
    for files in (DELTA, ICEBERG, PAIMON, HUDI, LANCE):
        storage = MemoryStorage(files)
        recognise(storage, "/t")
        assert storage.reads == {}


# No table, two tables ----------------------------------------------------------------------------------------------------------------------------------


def test_a_place_that_is_no_table_is_described(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    for name in "fedcbag":
        (tmp_path / "full" / name).write_text("")
    (tmp_path / "full" / "h").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.csv").write_text("")
    for name, holds in {
        "full": "it has a, b, c, d, e, ...",
        "empty": "it is empty",
        "file.csv": "it is a file",
        "nowhere": "there is nothing at this place",
    }.items():
        with pytest.raises(NotATableError) as caught:
            recognise(LocalStorage(), str(tmp_path / name))
        assert f'"{tmp_path / name}" holds no table: {holds}' in str(caught.value)
        for format, marker in DESCRIPTIONS.items():
            assert f"{marker} ({TITLES[format]})" in str(caught.value)


def test_two_formats_at_one_place_are_listed_with_their_evidence() -> None:
    with pytest.raises(AmbiguousTableError) as caught:
        recognise(MemoryStorage(DELTA | HUDI), "/t")
    assert "Delta Lake (_delta_log/), Apache Hudi (.hoodie/hoodie.properties)" in str(caught.value)
    assert 'delta."/t"' in str(caught.value)


# Copies for other readers ------------------------------------------------------------------------------------------------------------------------------


def iceberg(content: Any, name: str = "v2.metadata.json") -> dict[str, str]:
    return ICEBERG | {f"/t/metadata/{name}": content if isinstance(content, str) else json.dumps(content)}


def xtable(source: str) -> str:
    return json.dumps({"lastInstantSynced": "2026-01-01T00:00:00Z", "instantsToConsiderForNextSync": [], "version": 0, "sourceTableFormat": source})


def test_iceberg_metadata_that_uniform_wrote_is_no_table() -> None:
    assert names(DELTA, iceberg({"properties": {"delta-version": "7", "delta-timestamp": "1"}})) == ["delta"]
    assert names(DELTA, iceberg({"properties": {"delta-versions": "7"}})) == ["delta", "iceberg"]
    assert names(iceberg({"properties": {"delta-version": "7"}})) == ["iceberg"]


def test_only_the_newest_metadata_decides() -> None:
    signed, plain = json.dumps({"properties": {"delta-version": "7"}}), json.dumps({"properties": {}})
    assert names(DELTA, iceberg(signed, "v10.metadata.json"), iceberg(plain, "v9.metadata.json")) == ["delta"]
    assert names(DELTA, iceberg(plain, "v10.metadata.json"), iceberg(signed, "v9.metadata.json")) == ["delta", "iceberg"]
    assert names(DELTA, iceberg(signed, "00010-a.metadata.json"), iceberg(plain, "00002-b.metadata.json")) == ["delta"]


@pytest.mark.parametrize("name", ["v2.gz.metadata.json", "v2.metadata.json.gz"])
def test_compressed_metadata_is_looked_into(name: str) -> None:
    storage = MemoryStorage(DELTA | ICEBERG)
    storage.files[f"/t/metadata/{name}"] = gzip.compress(json.dumps({"properties": {"delta-version": "7"}}).encode())
    assert [e.format for e in evidence(storage, "/t")] == ["delta"]


def test_iceberg_metadata_that_xtable_wrote_is_no_table() -> None:
    assert names(DELTA, iceberg({"properties": {"XTABLE_METADATA": xtable("DELTA")}})) == ["delta"]
    assert names(HUDI, iceberg({"properties": {"XTABLE_METADATA": xtable("HUDI")}})) == ["hudi"]
    summary = {"current-snapshot-id": 5, "snapshots": [{"snapshot-id": 4}, {"snapshot-id": 5, "summary": {"XTABLE_METADATA": xtable("HUDI")}}]}
    assert names(HUDI, iceberg(summary)) == ["hudi"]
    assert names(DELTA, iceberg({"properties": {"XTABLE_METADATA": xtable("HUDI")}})) == ["delta", "iceberg"]


def test_a_delta_log_that_xtable_wrote_is_no_table() -> None:
    actions = [{"commitInfo": {}}, {"metaData": {"configuration": {"XTABLE_METADATA": xtable("ICEBERG")}}}]
    log = {"/t/_delta_log/00000000000000000003.json": "\n".join(map(json.dumps, actions))}
    assert names(DELTA, log, ICEBERG) == ["iceberg"]
    tagged = {"/t/_delta_log/00000000000000000003.json": json.dumps({"commitInfo": {"tags": {"XTABLE_METADATA": xtable("HUDI")}}})}
    assert names(DELTA, tagged, HUDI) == ["hudi"]
    assert names(DELTA, tagged, HUDI, iceberg({"properties": {"XTABLE_METADATA": xtable("HUDI")}})) == ["hudi"]


def test_a_hudi_timeline_that_delta_or_xtable_wrote_is_no_table() -> None:
    for extra in ({"delta-version": "3"}, {"XTABLE_METADATA": xtable("DELTA")}):
        assert names(DELTA, HUDI, {"/t/.hoodie/20260102000000000.replacecommit": json.dumps({"extraMetadata": extra})}) == ["delta"]
    assert names(DELTA, HUDI) == ["delta", "hudi"]


@pytest.mark.parametrize(("kept", "expected"), [("table-location", ["paimon"]), ("hadoop-catalog", ["paimon"]), ("disabled", ["iceberg", "paimon"])])
def test_iceberg_metadata_that_paimon_keeps_is_no_table(kept: str, expected: list[str]) -> None:
    newest = {"/t/schema/schema-10": json.dumps({"options": {"metadata.iceberg.storage": kept}}), "/t/schema/schema-9": "{}"}
    assert names(PAIMON, newest, ICEBERG) == expected


def test_two_that_each_claim_to_be_the_copy_stay_ambiguous() -> None:
    log = {"/t/_delta_log/00000000000000000003.json": json.dumps({"metaData": {"configuration": {"XTABLE_METADATA": xtable("ICEBERG")}}})}
    assert names(DELTA, log, iceberg({"properties": {"delta-version": "1"}})) == ["delta", "iceberg"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '"x"', "[" * 100_000, '{"properties": []}', '{"properties": {"XTABLE_METADATA": 3}}', '{"snapshots": [1, null]}', "\x00"]
)
def test_metadata_that_cannot_be_read_decides_nothing(content: str) -> None:
    assert names(DELTA, iceberg(content)) == ["delta", "iceberg"]
    assert names(PAIMON, {"/t/schema/schema-3": content}, ICEBERG) == ["iceberg", "paimon"]
    assert names(DELTA, HUDI, {"/t/.hoodie/20270101000000000.commit": content}) == ["delta", "hudi"]
    log = {"/t/_delta_log/00000000000000000003.json": f'{{"metaData": "XTABLE_METADATA"\n{content}XTABLE_METADATA'}
    assert names(DELTA, log, ICEBERG) == ["delta", "iceberg"]


def test_a_small_file_that_unpacks_to_a_huge_one_decides_nothing() -> None:
    storage = MemoryStorage(DELTA | ICEBERG)
    storage.files["/t/metadata/v3.gz.metadata.json"] = gzip.compress(b" " * (100 << 20) + b'{"properties": {"delta-version": "7"}}', 1)
    assert [e.format for e in evidence(storage, "/t")] == ["delta", "iceberg"]


# Readers -----------------------------------------------------------------------------------------------------------------------------------------------


def test_a_format_without_a_reader_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.FORMATS, "paimon", "lakesql.formats.not_there_yet")
    with pytest.raises(UnsupportedFeatureError, match="reading Apache Paimon tables is not supported yet") as caught:
        load("paimon")
    assert caught.value.feature == "Apache Paimon tables"
    assert "Delta Lake" in str(caught.value)


def test_a_name_that_is_no_format_is_refused() -> None:
    with pytest.raises(ConfigError, match='unknown table format "detla"') as caught:
        load("detla")
    assert 'did you mean "delta"?' in str(caught.value)


def test_the_reader_of_delta_is_there() -> None:
    reader = load("Delta")
    assert reader.name == "delta"
    assert reader.evidence(LocalStorage(), str(sample.lake() / "impressions")) is not None
    assert reader.evidence(LocalStorage(), str(sample.lake() / "items")) is None


def test_every_format_has_a_marker_and_a_description() -> None:
    assert list(MARKERS) == list(DESCRIPTIONS) == list(TITLES) == list(formats.FORMATS)


# The corpus --------------------------------------------------------------------------------------------------------------------------------------------


def test_every_table_of_the_corpus_is_recognised() -> None:
    cases = sorted(CORPUS.glob("*/*/case.json"))
    if not cases:
        pytest.skip(f"NO CORPUS at {CORPUS}: set LAKESQL_CORPUS")
    wrong = {}
    for file in cases:
        case, name = json.loads(file.read_text()), f"{file.parent.parent.name}/{file.parent.name}"
        found = [e.format for e in evidence(LocalStorage(), str(file.parent / case["table"]))]
        if found != [case["format"]]:
            wrong[name] = found
    assert wrong == {name: ["delta"] for name in UNDECIDABLE}
