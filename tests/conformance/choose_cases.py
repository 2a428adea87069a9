"""Chooses the bundled tenth of the corpus and writes it to `cases/`: every feature word at least once, a tenth of every format's cases, under 10 MB.

    python tests/conformance/choose_cases.py [CORPUS]     writes cases/ anew and prints what it holds
    python tests/conformance/choose_cases.py --check      says whether every bundled case still equals the corpus'

Cases are taken greedily, the most new words for a kilobyte first. A case of few and small files is kept as it is; one with many files, large files, empty
folders or names that some systems cannot hold is packed into `files.tar.xz`, its `case.json` beside it. Reads whose answer is large are left out; the
others keep their number.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import shutil
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from cases import BUNDLED, PACKED, corpus

LARGE_ANSWER_BYTES = 200_000
PLAIN_BYTES, PLAIN_FILES = 60_000, 16
OVERHEAD_BYTES = 2_000

# A table too large to bundle whole: the files named are left out, and with them every read that would touch them.
ONLY_METADATA = {"iceberg/duckdb-lineitem_iceberg_gz": ("table/data/", "SELECT count(*) AS n FROM t")}


@dataclass(frozen=True)
class Candidate:
    """A case as it would be bundled. files: names below the case's folder that are kept, folders included where empty."""

    name: str
    words: frozenset[str]
    text: str
    files: tuple[str, ...]
    folder: Path
    packed: bytes | None
    size_bytes: int


def candidate(folder: Path) -> Candidate:
    """The case in `folder`, trimmed and, where that is better, packed."""
    name = f"{folder.parent.name}/{folder.name}"
    raw = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    absent, only = ONLY_METADATA.get(name, (None, None))
    answers = set()
    for key in ("reads", "variant_reads"):
        for read in raw.get(key, []):
            answer = next((a for a in ("expected", "as_json", "as_bytes") if a in read), None)
            if answer is None:
                continue
            if (only is not None and read["sql"] != only) or (folder / read[answer]).stat().st_size > LARGE_ANSWER_BYTES:
                del read[answer]
                read["left_out"] = "its answer or table is too large to bundle"
            else:
                answers.add(read[answer])
    table = [p.relative_to(folder).as_posix() for p in sorted((folder / "table").rglob("*")) if p.is_file() or not any(p.iterdir())]
    files = tuple(f for f in table if absent is None or not f.startswith(absent)) + tuple(sorted(answers))
    words = frozenset(f"{raw['format']}:{w}" for w in raw["features"])
    text = json.dumps(raw, indent=1, ensure_ascii=False) + "\n"
    plain_bytes = sum((folder / f).stat().st_size for f in files if (folder / f).is_file())
    packed = None if _is_plain(folder, files, plain_bytes) else pack(folder, files)
    return Candidate(name, words, text, files, folder, packed, len(text.encode()) + (plain_bytes if packed is None else len(packed)))


def _is_plain(folder: Path, files: tuple[str, ...], size_bytes: int) -> bool:
    portable = all((folder / f).is_file() and re.fullmatch(r"[A-Za-z0-9._=/\-]+", f) for f in files)
    return portable and size_bytes <= PLAIN_BYTES and len(files) <= PLAIN_FILES


def pack(folder: Path, files: tuple[str, ...]) -> bytes:
    """A tar of the files with nothing in it that changes from run to run, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(file)
            if (folder / file).is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                content = (folder / file).read_bytes()
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
    return lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def choose(candidates: list[Candidate]) -> list[Candidate]:
    """The fewest kilobytes, roughly, that hold every word; then the smallest cases of a format until a tenth of its cases is there."""
    chosen: list[Candidate] = []
    missing = frozenset().union(*(c.words for c in candidates))
    while missing:
        best = max(candidates, key=lambda c: (len(c.words & missing) / (c.size_bytes + OVERHEAD_BYTES), c.name))
        chosen.append(best)
        missing -= best.words
    counts = Counter(word for c in chosen for word in c.words)
    for case in sorted(chosen, key=lambda c: -c.size_bytes):
        if all(counts[word] > 1 for word in case.words):
            counts.subtract(case.words)
            chosen.remove(case)
    for format_ in sorted({c.name.split("/")[0] for c in candidates}):
        all_of = [c for c in candidates if c.name.startswith(format_ + "/")]
        have = [c for c in chosen if c.name.startswith(format_ + "/")]
        rest = sorted((c for c in all_of if c not in have), key=lambda c: c.size_bytes)
        chosen += rest[: max(0, -(-len(all_of) // 10) - len(have))]
    return sorted(chosen, key=lambda c: c.name)


def write(case: Candidate, root: Path) -> None:
    """The case below `root`."""
    place = root / case.name
    place.mkdir(parents=True)
    (place / "case.json").write_text(case.text, encoding="utf-8")
    if case.packed is not None:
        (place / PACKED).write_bytes(case.packed)
        return
    for file in case.files:
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(case.folder / file, place / file)


def differences(root: Path) -> list[str]:
    """What the bundled cases have that the corpus at `root` says otherwise: one line each."""
    found = []
    for file in sorted(BUNDLED.glob("*/*/case.json")):
        name = f"{file.parent.parent.name}/{file.parent.name}"
        if not (root / name / "case.json").exists():
            found.append(f"{name}: the corpus has no such case")
            continue
        ours, theirs = (json.loads((r / name / "case.json").read_text(encoding="utf-8")) for r in (BUNDLED, root))
        if _without_left_out(theirs, ours) != ours:
            found.append(f"{name}: case.json differs")
        found += [
            f"{name}: {f} differs" for f, content in _contents(file.parent) if not (root / name / f).is_file() or (root / name / f).read_bytes() != content
        ]
    return found


def _without_left_out(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    for key in ("reads", "variant_reads"):
        for n, read in enumerate(ours.get(key, [])):
            if "left_out" in read and n < len(theirs.get(key, [])):
                theirs[key][n] = {k: v for k, v in theirs[key][n].items() if k not in ("expected", "as_json", "as_bytes")} | {"left_out": read["left_out"]}
    return theirs


def _contents(folder: Path) -> list[tuple[str, bytes]]:
    if (folder / PACKED).exists():
        with tarfile.open(folder / PACKED) as archive:
            return [(m.name, archive.extractfile(m).read()) for m in archive.getmembers() if m.isfile()]  # type: ignore[union-attr]
    return [(p.relative_to(folder).as_posix(), p.read_bytes()) for p in folder.rglob("*") if p.is_file() and p.name != "case.json"]


def main() -> None:
    """The command line."""
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    root, whole = (Path(arguments[0]), True) if arguments else corpus()
    if not whole:
        sys.exit("the whole corpus is needed: name its folder, or set LAKESQL_CORPUS")
    if "--check" in sys.argv:
        found = differences(root)
        sys.exit("\n".join(found) if found else 0)
    chosen = choose([candidate(f.parent) for f in sorted(root.glob("*/*/case.json"))])
    shutil.rmtree(BUNDLED, ignore_errors=True)
    for case in chosen:
        write(case, BUNDLED)
    kept = [p for p in BUNDLED.rglob("*") if p.is_file()]
    for format_, count in sorted(Counter(c.name.split("/")[0] for c in chosen).items()):
        print(f"{format_:8} {count} cases, {sum(c.size_bytes for c in chosen if c.name.startswith(format_ + '/')):,} bytes")
    print(
        f"{len(chosen)} cases, {len(kept)} files, {sum(p.stat().st_size for p in kept):,} bytes; the largest is {max(p.stat().st_size for p in kept):,} bytes"
    )


if __name__ == "__main__":
    main()
