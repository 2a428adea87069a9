"""Snapshot files, hints, tags and branches: which states a table has. Source: Paimon, Snapshot, Tag, SnapshotManager, HintFileUtils, BranchManager.

snapshot/snapshot-N      N from 1, perhaps with holes; LATEST and EARLIEST beside them are hints that may be wrong or missing
tag/tag-NAME             a whole snapshot, readable after its snapshot has expired
branch/branch-NAME/      a folder with schema/, snapshot/ and tag/ of its own; manifests and data stay in the table's folders
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from lakesql.errors import ExpiredVersionError, MetadataError, MissingFileError, NoSuchVersionError, UnsupportedFeatureError
from lakesql.formats.paimon.json_files import JsonFile, file_name
from lakesql.location import join
from lakesql.predicate import literal
from lakesql.storage import Storage

_NUMBERED = re.compile(r"(snapshot|changelog)-(\d{1,18})")
_HINT = re.compile(rb"\s*(\d{1,18})\s*")
_NEWEST_VERSION = 3
_NO_WATERMARK = -(2**63)


@dataclass(frozen=True)
class SnapshotFile:
    """One snapshot. Names of lists are bare file names in `manifest/`. watermark: None where there is none; time_ms: the commit's, since 1970 UTC."""

    file: JsonFile
    id: int
    schema_id: int
    base_manifest_list: str
    delta_manifest_list: str
    changelog_manifest_list: str | None
    index_manifest: str | None
    commit_user: str
    commit_identifier: int
    commit_kind: str
    time_ms: int
    total_record_count: int | None
    delta_record_count: int | None
    changelog_record_count: int | None
    watermark: int | None
    statistics: str | None
    next_row_id: int | None

    @staticmethod
    def parse(file: JsonFile) -> SnapshotFile:
        """A snapshot out of its file, or out of a tag's. Raises MetadataError, UnsupportedFeatureError."""
        source, version = f'"{file.path}"', file.optional_number("version") or 1
        if version > _NEWEST_VERSION:
            raise UnsupportedFeatureError(
                f"{source} has version {version}; lakesql reads snapshots up to {_NEWEST_VERSION}", feature=f"snapshot version {version}"
            )

        def name(key: str) -> str | None:
            value = file.optional_text(key)
            return None if value is None else file_name(value, f"{source}, {key}")

        watermark = file.optional_number("watermark")
        return SnapshotFile(
            file=file,
            id=file.number("id"),
            schema_id=file.number("schemaId"),
            base_manifest_list=file_name(file.text("baseManifestList"), f"{source}, baseManifestList"),
            delta_manifest_list=file_name(file.text("deltaManifestList"), f"{source}, deltaManifestList"),
            changelog_manifest_list=name("changelogManifestList"),
            index_manifest=name("indexManifest"),
            commit_user=file.optional_text("commitUser") or "",
            commit_identifier=_identifier(file),
            commit_kind=file.text("commitKind"),
            time_ms=file.number("timeMillis"),
            total_record_count=file.optional_number("totalRecordCount"),
            delta_record_count=file.optional_number("deltaRecordCount"),
            changelog_record_count=file.optional_number("changelogRecordCount"),
            watermark=None if watermark == _NO_WATERMARK else watermark,
            statistics=name("statistics"),
            next_row_id=file.optional_number("nextRowId"),
        )


@dataclass(frozen=True)
class Timeline:
    """The snapshots and tags below `root`: the table's own folder, or a branch's. Asked anew each time, since writers go on."""

    storage: Storage
    root: str

    def latest(self) -> SnapshotFile | None:
        """The newest snapshot, None where the table has none."""
        hinted = self._hint("LATEST")
        if hinted is not None and not self._exists(hinted + 1):
            found = self._read(hinted)
            if found is not None:
                return found
        ids = self.ids()
        return self.get(ids[-1]) if ids else None

    def ids(self) -> list[int]:
        """The numbers of all snapshots there are, ascending. Names that are not numbered are temporary files of writers."""
        return self._numbers("snapshot")

    def changelog_ids(self) -> list[int]:
        """The numbers of the changelogs that outlived their snapshots, ascending."""
        return self._numbers("changelog")

    def get(self, id_: int) -> SnapshotFile:
        """The snapshot of that number. Raises NoSuchVersionError for one that was never there, ExpiredVersionError for one that is gone."""
        found = self._read(id_)
        if found is not None:
            return found
        ids = self.ids()
        if not ids:
            raise NoSuchVersionError(f"no such version {id_}: the table has no snapshot", hint="nothing was committed to it yet")
        if not 1 <= id_ <= ids[-1]:
            raise NoSuchVersionError(f"no such version: snapshot {id_} does not exist", hint=f"there are snapshots {ids[0]} to {ids[-1]}")
        raise ExpiredVersionError(f"snapshot {id_} has expired: the oldest that is left is {ids[0]}", hint=self._tags_hint(id_))

    def find(self, id_: int) -> SnapshotFile | None:
        """The snapshot of that number, None where there is none, or no more."""
        return self._read(id_)

    def changelog(self, id_: int) -> SnapshotFile | None:
        """The changelog of that number, which outlived its snapshot and looks like one; None where there is none."""
        return self._read(id_, "changelog")

    def all(self) -> Iterator[SnapshotFile]:
        """Every snapshot, by number; those that expire meanwhile are left out."""
        for id_ in self.ids():
            found = self._read(id_)
            if found is not None:
                yield found

    def at_time(self, time_ms: int, text: str) -> SnapshotFile:
        """The last snapshot committed at or before a time. Raises NoSuchVersionError where there is none."""
        ids = self.ids()
        first = _first(len(ids), lambda i: self.get(ids[i]).time_ms > time_ms)
        if first == 0:
            since = f"the oldest snapshot is {ids[0]}, of {instant_text(self.get(ids[0]).time_ms)}" if ids else "the table has no snapshot"
            raise NoSuchVersionError(f"no snapshot at or before {text}: {since}", hint="ask for a later time, or for a tag")
        return self.get(ids[first - 1])

    def at_watermark(self, watermark: int) -> SnapshotFile:
        """The first snapshot whose watermark is at least this. Raises NoSuchVersionError above all of them."""
        ids = self.ids()

        def known(i: int) -> SnapshotFile | None:
            """The first snapshot with a watermark from place i on."""
            return next((s for s in map(self.get, ids[i:]) if s.watermark is not None), None)

        first = _first(len(ids), lambda i: (s := known(i)) is None or (s.watermark or 0) >= watermark)
        found = known(first) if first < len(ids) else None
        if found is None:
            newest = next((s for s in map(self.get, reversed(ids)) if s.watermark is not None), None)
            highest = f"the highest is {newest.watermark}, of snapshot {newest.id}" if newest else "no snapshot has one"
            raise NoSuchVersionError(f"no snapshot has a watermark of {watermark} or above: {highest}")
        return found

    # Tags and branches ---------------------------------------------------------------------------------------------------------------------------

    def tag_names(self) -> list[str]:
        """The names of all tags, sorted."""
        return self._names("tag", "tag-", folders=False)

    def tag(self, name: str) -> SnapshotFile | None:
        """A tag's snapshot, None where there is no such tag."""
        if not _is_name(name):
            return None
        path = join(self.root, "tag", f"tag-{name}")
        try:
            return SnapshotFile.parse(JsonFile.read(self.storage, path))
        except MissingFileError:
            return None

    def branch_names(self) -> list[str]:
        """The names of all branches but main, sorted."""
        return self._names("branch", "branch-", folders=True)

    def branch(self, name: str) -> Timeline | None:
        """A branch's own snapshots and tags, None where there is no such branch; `main` is the table itself."""
        if name == "main":
            return self
        root = join(self.root, "branch", f"branch-{name}")
        is_there = _is_name(name) and any(True for _ in self.storage.list(join(root, "schema")))
        return Timeline(self.storage, root) if is_there else None

    def _names(self, folder: str, prefix: str, *, folders: bool) -> list[str]:
        entries = self.storage.list(join(self.root, folder), start_after=prefix)
        return [e.name.removeprefix(prefix) for e in entries if e.is_folder is folders and e.name.startswith(prefix)]

    def _tags_hint(self, id_: int) -> str:
        names = self.tag_names()[:200]
        tags = [n for n in names if (t := self.tag(n)) is not None and t.id == id_]
        if tags:
            return f"tag \"{tags[0]}\" keeps it: VERSION AS OF '{tags[0]}'"
        kept = f"; those of this table are {', '.join(names[:10])}" + (f" and {len(names) - 10} more" if len(names) > 10 else "") if names else ""
        return f"tags keep snapshots readable{kept}; options of the table say how long others are kept"

    def _path(self, id_: int, kind: str = "snapshot") -> str:
        return join(self.root, kind, f"{kind}-{id_}")

    def _exists(self, id_: int) -> bool:
        return self.storage.size(self._path(id_)) is not None

    def _read(self, id_: int, kind: str = "snapshot") -> SnapshotFile | None:
        path = self._path(id_, kind)
        try:
            found = SnapshotFile.parse(JsonFile.read(self.storage, path))
        except MissingFileError:
            return None
        if found.id != id_:
            raise MetadataError(f'"{path}" says that it is {kind} {found.id}')
        return found

    def _hint(self, name: str) -> int | None:
        """The number in a hint file, None where there is none that makes sense."""
        path = join(self.root, "snapshot", name)
        try:
            size = self.storage.size(path)
            found = _HINT.fullmatch(self.storage.read(path)) if size is not None and size < 100 else None
        except MissingFileError:
            return None
        return int(found[1]) if found else None

    def _numbers(self, kind: str) -> list[int]:
        found = (_NUMBERED.fullmatch(e.name) for e in self.storage.list(join(self.root, kind), start_after=f"{kind}-"))
        return sorted(int(m[2]) for m in found if m is not None and m[1] == kind)


def _identifier(file: JsonFile) -> int:
    """The number of a writer's commit, which version 0.2 wrote as text; 0 where it is some other text."""
    text = str(file.content.get("commitIdentifier") or 0)
    return int(text) if re.fullmatch(r"-?\d{1,19}", text) else 0


def _is_name(name: str) -> bool:
    return bool(name) and not any(c in name for c in "/\\\0") and name not in (".", "..")


def _first(count: int, holds: Callable[[int], bool]) -> int:
    """The first number below count for which `holds`, which holds for all above it too; count where it holds for none."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def instant_text(time_ms: int) -> str:
    """An instant for messages: milliseconds since 1970."""
    return literal(pa.scalar(time_ms, pa.timestamp("ms", tz="UTC")))
