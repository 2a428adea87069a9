"""A version's number -> its State, from as few files as the log allows, and from none that was read before.

Commits, checkpoints and states are kept by what the listing says of their files (name, size, time), so that a table that was dropped and created anew at the
same place never meets what is remembered of the old one. The latest state is brought up to date by one listing from its own commit and by the commits that
came since.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from typing import Any

from lakesql.errors import MetadataError, MissingFileError
from lakesql.formats.delta.actions import Change, Metadata, metadata_of, read_change
from lakesql.formats.delta.blocks import Block
from lakesql.formats.delta.change_actions import CommitFiles, read_commit
from lakesql.formats.delta.checkpoint import CheckpointReader
from lakesql.formats.delta.hint import Hint, read_hint
from lakesql.formats.delta.json_lines import decode
from lakesql.formats.delta.log import LOG_FOLDER, Delta, Segment, list_log, segment_for
from lakesql.formats.delta.replay import READING_THREADS, ActiveFiles, Lazy, LiveBlock, Others, State, Tail, files_after, in_parallel, reconcile
from lakesql.kept import Kept
from lakesql.location import join
from lakesql.storage import Entry, Storage, read_immutable

_STATES_KEPT = 8
_CHANGES_KEPT = 512
_CHECKPOINTS_KEPT = 3


class States:
    """The states of one table. Thread-safe."""

    def __init__(self, storage: Storage, location: str) -> None:
        self.storage = storage
        self.location = location
        self.log = join(location, LOG_FOLDER)
        self._lock = threading.RLock()
        self._changes: Kept[Change] = Kept(_CHANGES_KEPT)
        self._commits: Kept[CommitFiles] = Kept(_CHANGES_KEPT)
        self._checkpoints: Kept[CheckpointReader] = Kept(_CHECKPOINTS_KEPT)
        self._states: Kept[State] = Kept(_STATES_KEPT)
        self._latest: tuple[State, Entry] | None = None

    def at(self, version: int | None) -> State:
        """The state of a version, None for the latest. Errors as `log.segment_for`; MetadataError for a log without protocol or metadata."""
        with self._lock:
            try:
                return self._advanced() if version is None else self._load(version)
            except MissingFileError:
                # Clean-up may have removed a file between the listing and its reading; a second listing knows.
                self._latest = None
                return self._load(version)

    def change(self, delta: Delta) -> Change:
        """What a commit file says."""
        entry = delta.entry
        return self._changes.of(_identity(entry), lambda: read_change(read_immutable(self.storage, entry.path, entry), self.location, entry.path))

    def commit_files(self, version: int, entry: Entry) -> CommitFiles:
        """What a commit did to files, as change feeds ask for it."""
        return self._commits.of(_identity(entry), lambda: read_commit(read_immutable(self.storage, entry.path, entry), version, self.location, entry.path))

    def _load(self, version: int | None) -> State:
        hint = read_hint(self.storage, self.log)
        segment = segment_for(self.storage, self.log, version, hint)
        key = (segment.version, _segment_identity(segment))
        state = self._states.of(key, lambda: self._build(segment, hint))
        if version is None and segment.commit is not None:
            self._latest = (state, segment.commit)
        return state

    def _advanced(self) -> State:
        """The latest state: the one known, if its commit is still there as it was, with the commits on top that came since."""
        if self._latest is None:
            return self._load(None)
        state, commit = self._latest
        listing = list_log(self.storage, self.log, state.version)
        known = listing.commits.get(state.version)
        if known is None or _identity(known) != _identity(commit):
            self._latest = None
            return self._load(None)
        newest = max(listing.commits)
        if newest == state.version:
            return state
        deltas = []
        for version in range(state.version + 1, newest + 1):
            if version not in listing.commits:
                return self._load(None)  # says what is wrong
            deltas.append(Delta(version, version, listing.commits[version]))
        state = state.after(newest, reconcile(self._read(deltas)), len(deltas))
        self._latest = (state, listing.commits[newest])
        return state

    def _build(self, segment: Segment, hint: Hint | None) -> State:
        tail = reconcile(self._read(segment.deltas))
        reader = self._reader(segment, hint)
        protocol, metadata = self._protocol_and_metadata(segment, tail, reader)
        log_files = len(segment.deltas)
        return State(
            segment.version,
            protocol,
            metadata,
            Lazy(lambda: _files(reader, tail)),
            Lazy(lambda: _others(reader, tail)),
            Lazy(lambda: log_files + (reader.files_read if reader else 0)),
        )

    def _read(self, deltas: Sequence[Delta]) -> list[Change]:
        return in_parallel(self.change, deltas, READING_THREADS)

    def _reader(self, segment: Segment, hint: Hint | None) -> CheckpointReader | None:
        checkpoint = segment.checkpoint
        if checkpoint is None:
            return None
        key = tuple(_identity(e) for e in checkpoint.files)
        return self._checkpoints.of(key, lambda: CheckpointReader(self.storage, self.log, self.location, checkpoint, hint))

    def _protocol_and_metadata(self, segment: Segment, tail: Tail, reader: CheckpointReader | None) -> tuple[dict[str, Any], Metadata]:
        """From the commits read anyway, else from the version's checksum file, else from the checkpoint."""
        protocol, metadata = tail.protocol, tail.metadata
        if (protocol is None or metadata is None) and segment.checksum is not None:
            summed = _from_checksum(self.storage, segment.checksum)
            if summed is not None:
                protocol, metadata = protocol or summed[0], metadata or summed[1]
        if (protocol is None or metadata is None) and reader is not None:
            protocol, metadata = protocol or reader.small.protocol, metadata or reader.small.metadata
        for what, found in (("table metadata", metadata), ("protocol", protocol)):
            if found is None:
                source = f" (checkpoint {reader.checkpoint.files[0].path})" if reader else ""
                raise MetadataError(
                    f"the log holds no {what}: {self.log}, version {segment.version}{source}", hint="the log is damaged; an earlier version may be whole"
                )
        assert protocol is not None
        assert metadata is not None
        return protocol, metadata


def _files(reader: CheckpointReader | None, tail: Tail) -> ActiveFiles:
    blocks: Sequence[Block] = reader.blocks if reader else ()
    return files_after(tuple(LiveBlock(b) for b in blocks), tail)


def _others(reader: CheckpointReader | None, tail: Tail) -> Others:
    return Others(reader.small.txns if reader else {}, reader.small.domains if reader else {}).after(tail)


def _from_checksum(storage: Storage, entry: Entry) -> tuple[dict[str, Any], Metadata] | None:
    """Protocol and metadata of a .crc file; None for a file that has not both: it is a help and no more. Source: Delta protocol, "Version Checksum File"."""
    try:
        raw = decode(storage.read(entry.path))
        protocol, metadata = raw["protocol"], metadata_of(raw["metadata"], entry.path)
    except (MissingFileError, MetadataError, ValueError, TypeError, LookupError, AttributeError):
        return None
    return (protocol, metadata) if isinstance(protocol, dict) else None


def _identity(entry: Entry) -> tuple[str, int, int]:
    return entry.path, entry.size_bytes, entry.modified_us


def _segment_identity(segment: Segment) -> Hashable:
    checkpoint = tuple(_identity(e) for e in segment.checkpoint.files) if segment.checkpoint else None
    return checkpoint, tuple(_identity(d.entry) for d in segment.deltas)
