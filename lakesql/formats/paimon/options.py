"""A table's options, as far as they change what a read returns: each is followed, or refused by name. Source: Paimon, CoreOptions."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from lakesql.errors import ConfigError, MetadataError, UnsupportedFeatureError, did_you_mean
from lakesql.formats.paimon.buckets import BucketFunction


class MergeEngine(enum.Enum):
    """What rows of one primary key become."""

    DEDUPLICATE = "deduplicate"
    PARTIAL_UPDATE = "partial-update"
    AGGREGATION = "aggregation"
    FIRST_ROW = "first-row"


SCAN_POINTS = ("scan.snapshot-id", "scan.tag-name", "scan.timestamp-millis", "scan.timestamp", "scan.watermark", "scan.version")
"""Options that say which state to read; at most one of them."""

ASKING = ("incremental-between", "incremental-between-timestamp", "incremental-to-auto-tag")
"""Options that each ask for changes."""

INCREMENTAL = (*ASKING, "incremental-between-scan-mode", "incremental-between-tag-to-snapshot")
"""Those, and how changes are asked for."""

_FIXED = frozenset(
    (
        *("bucket", "bucket-key", "bucket-function.type", "merge-engine", "primary-key", "partition", "path", "type", "row-tracking.enabled"),
        *("data-evolution.enabled", "rowkind.field", "sequence.snapshot-ordering", "data-file.path-directory", "index-file-in-data-file-dir"),
        *("aggregation.remove-record-on-delete", "partial-update.remove-record-on-delete", "partial-update.remove-record-on-sequence-group"),
        *("primary-key.nullable", "blob-field", "blob-descriptor-field", "blob-view-field", "pk-clustering-override"),
    )
)
"""Options that belong to the table and cannot be given for one read."""

_READ = frozenset(
    (
        *SCAN_POINTS,
        *INCREMENTAL,
        "scan.mode",
        "branch",
        "file-index.read.enabled",
        *("scan.fallback-branch", "scan.primary-branch"),
        "table-read.sequence-number.enabled",
        "consumer-id",
    )
)
"""Options of a read that this reader knows."""

BY_CREATION = ("scan.file-creation-time-millis", "scan.creation-time-millis")
"""Options that ask for files written after an instant of a clock that nobody knows: that of each writer's wall."""

_HOW_ALONE = (
    *("scan.bounded", "scan.dedicated-split-generation", "scan.infer-parallelism", "scan.manifest.parallelism", "scan.max-", "scan.parallelism"),
    *("scan.plan-", "scan.remove-normalize", "scan.split-enumerator.", "scan.watermark.", "scan.ignore-", "scan.fallback-branch.", *BY_CREATION),
)
"""What options of a scan begin with that say how it is done, and not what it gives; `scan.ignore-` would let it give less."""

_TRUE, _FALSE = ("true",), ("false",)


@dataclass(frozen=True)
class Options:
    """Options by name. Accessors raise MetadataError for a value that makes no sense, UnsupportedFeatureError for one that is not followed."""

    values: Mapping[str, str]

    def given(self, more: Mapping[str, str]) -> Options:
        """With the options of one read. Raises ConfigError for those that cannot be given so."""
        for name in more:
            if name in _FIXED and self.values.get(name) != more[name]:
                raise ConfigError(f'option "{name}" belongs to the table and cannot be changed for one read', hint=did_you_mean(name, _READ))
            if name.startswith(("scan.", "incremental-")) and name not in _READ and not name.startswith(_HOW_ALONE):
                raise ConfigError(f'there is no option "{name}" of a scan', hint=did_you_mean(name, _READ))
        found = Options(MappingProxyType({**self.values, **more}))
        if self.deletion_vectors != found.deletion_vectors and not self.flag("deletion-vectors.modifiable"):
            raise ConfigError('option "deletion-vectors.enabled" belongs to the table and cannot be changed for one read')
        if self.ignores_deletes and not found.ignores_deletes:
            raise ConfigError('option "ignore-delete" of the table cannot be taken back for one read')
        return found

    @cached_property
    def of_rows(self) -> Mapping[str, str]:
        """Those that may change what rows a state's files give, and not which state is read."""
        return {n: v for n, v in self.values.items() if n not in SCAN_POINTS + INCREMENTAL + ("branch", "scan.mode", "consumer-id")}

    def text(self, *names: str) -> str | None:
        """The value under the first of the names that has one."""
        return next((self.values[n].strip() for n in names if n in self.values), None)

    def flag(self, *names: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.text(*names)
        if value is None:
            return default
        if value.lower() not in _TRUE + _FALSE:
            raise MetadataError(f'option "{names[0]}" is {value!r}; it is true or false')
        return value.lower() in _TRUE

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.text(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError as error:
            raise MetadataError(f'option "{name}" is {value!r}; it is a whole number') from error

    def names(self, name: str) -> tuple[str, ...]:
        """A list of column names."""
        return tuple(n.strip() for n in (self.text(name) or "").split(",") if n.strip())

    # Of rows -------------------------------------------------------------------------------------------------------------------------------------

    @cached_property
    def merge_engine(self) -> MergeEngine:
        """How rows of one key are merged."""
        name = (self.text("merge-engine") or "deduplicate").lower().replace("_", "-")
        known = {e.value: e for e in MergeEngine}
        if name not in known:
            raise UnsupportedFeatureError(f'lakesql does not know the merge engine "{name}"', feature=f"merge engine {name}", hint=did_you_mean(name, known))
        return known[name]

    @cached_property
    def sequence_fields(self) -> tuple[str, ...]:
        """Columns that decide which of two rows is newer, before the writers' own numbers."""
        return self.names("sequence.field")

    @cached_property
    def sequence_ascending(self) -> bool:
        """Whether a higher value is newer."""
        order = (self.text("sequence.field.sort-order") or "ascending").lower()
        if order not in ("ascending", "descending"):
            raise MetadataError(f'option "sequence.field.sort-order" is {order!r}; it is ascending or descending')
        return order == "ascending"

    @cached_property
    def ignores_deletes(self) -> bool:
        """Whether rows that take something back are left out of merges."""
        return self.flag("ignore-delete", "first-row.ignore-delete", "deduplicate.ignore-delete", "partial-update.ignore-delete")

    @cached_property
    def deletion_vectors(self) -> bool:
        """Whether deletes are marked in deletion vectors."""
        return self.flag("deletion-vectors.enabled")

    @cached_property
    def hides_level_0(self) -> bool:
        """Whether what has not been compacted yet is invisible to reads."""
        vectors = self.deletion_vectors and not self.flag("deletion-vectors.merge-on-read")
        return vectors or self.merge_engine is MergeEngine.FIRST_ROW

    @cached_property
    def top_level(self) -> int:
        """The highest level of the tree."""
        return self.number("num-levels", self.number("num-sorted-run.compaction-trigger", 5) + 1) - 1

    @cached_property
    def row_tracking(self) -> bool:
        """Whether rows have ids."""
        return self.flag("row-tracking.enabled")

    @cached_property
    def data_evolution(self) -> bool:
        """Whether files may hold some of the columns of rows that other files hold."""
        return self.flag("data-evolution.enabled")

    # Of files ------------------------------------------------------------------------------------------------------------------------------------

    @cached_property
    def bucket(self) -> int:
        """The number of buckets; -1: dynamic, or all in bucket 0 without a primary key; -2: postponed."""
        return self.number("bucket", -1)

    @cached_property
    def bucket_function(self) -> BucketFunction:
        """How keys are spread over buckets."""
        name = (self.text("bucket-function.type") or "default").lower()
        known = {f.value: f for f in BucketFunction}
        if name not in known:
            raise UnsupportedFeatureError(
                f'lakesql does not know the bucket function "{name}"', feature=f"bucket function {name}", hint=did_you_mean(name, known)
            )
        return known[name]

    @cached_property
    def default_partition(self) -> str:
        """What stands for a null or blank partition value in paths."""
        return self.text("partition.default-name") or "__DEFAULT_PARTITION__"

    @cached_property
    def legacy_partitions(self) -> bool:
        """Whether paths spell partition values as Java's toString of the internal value."""
        return self.flag("partition.legacy-name", default=True)

    @cached_property
    def data_directory(self) -> str:
        """The folder that data files are in, relative to the table's; empty for the table's own."""
        return (self.text("data-file.path-directory") or "").strip("/")

    @cached_property
    def indexes_beside_data(self) -> bool:
        """Whether index files are in the folders of the buckets."""
        return self.flag("index-file-in-data-file-dir")

    @cached_property
    def writers_clock(self) -> bool:
        """Whether ORC files hold times with local zone as if their digits in UTC were the writer's wall clock."""
        return self.flag("orc.timestamp-ltz.legacy.type", default=True)

    @cached_property
    def reads_file_indexes(self) -> bool:
        """Whether file indexes may prune."""
        return self.flag("file-index.read.enabled", default=True)

    # Branches ------------------------------------------------------------------------------------------------------------------------------------

    @property
    def fallback_branch(self) -> str | None:
        """The branch that has the partitions this one lacks."""
        return self.text("scan.fallback-branch")

    @property
    def primary_branch(self) -> str | None:
        """The branch whose partitions come before this one's."""
        return self.text("scan.primary-branch")

    def check_readable(self, location: str) -> None:
        """Refuses what would make a plain read incomplete or unauthorised. Raises UnsupportedFeatureError."""
        kind = (self.text("type") or "table").lower()
        if kind not in ("table", "materialized-table"):
            raise _refused(location, f"a {kind}", f"{kind}s")
        for name, what in (
            ("chain-table.enabled", "a chain table"),
            ("query-auth.enabled", "a table whose rows the catalog authorises"),
            ("postpone.merge-on-read", "a table that merges its postponed rows on reads"),
        ):
            if self.flag(name):
                raise _refused(location, f"{what} ({name})", name)
        shared = next((k for k, v in self.values.items() if k.endswith(".map.storage-layout") and v.strip().lower() not in ("", "default", "normal")), None)
        if shared is not None:
            raise _refused(location, f"a table with maps laid out as {self.values[shared]} ({shared})", "map.storage-layout")


def _refused(location: str, what: str, feature: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(f"{location} is {what}; lakesql does not read those yet", feature=feature, hint="read it with Paimon itself")
