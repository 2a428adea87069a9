"""Sets of 64-bit numbers as Java's `org.roaringbitmap.longlong.Roaring64Bitmap` writes them, joined byte for byte as it joins them.

    byte 1 (0 alone: no numbers) | int64 keys | tree | int32 lists | each: byte -2, int32 slots, each: 0, or 1 and a container | int64 containers,
    int32 last list, int32 last slot

The tree (an adaptive radix tree) has the high 48 bits of the numbers as keys, and says for each which slot holds the low 16. A node is a byte of its kind, an
int16 of children and a prefix, then what its kind adds, then the children in the order of their bytes. All is little-endian but a leaf's key. The form says in
which order keys came and by which steps nodes grew, so a union is computed with the tree itself, never from the set of its numbers. There is no
specification: source: RoaringBitmap 1.2.1, packages org.roaringbitmap.art and longlong; Paimon's RoaringBitmap64, which optimises runs before it writes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint16]

NODE4, NODE16, NODE48, NODE256, LEAF = range(5)
CAPACITIES = {NODE4: 4, NODE16: 16, NODE48: 48, NODE256: 256}
KEY_BYTES = 6
FREE = 0xFF
"""What a Node48 says of bytes that it has no child for."""

RUN, BITMAP, ARRAY = range(3)
_ARRAY_MOST, _FULL, _BITMAP_BYTES = 4096, 65536, 8192
_WHOLE, _EMPTY, _NOT_TRIMMED = 1, 0, 0xFE


class BitmapError(ValueError):
    """The bytes are no such bitmap."""


def union(left: bytes, right: bytes) -> bytes:
    """The bytes that Paimon's `rbm64` makes of two. Raises BitmapError."""
    both, other = Bitmap.read(left), Bitmap.read(right)
    both.add_all(other)
    both.optimise()
    return both.write()


# Containers ----------------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Container:
    """The low 16 bits of numbers, sorted, and how they are kept."""

    kind: int
    numbers: Numbers

    def joined(self, other: Container) -> Container:
        """The union, kept as Java's `ior` keeps it."""
        numbers = np.union1d(self.numbers, other.numbers)
        kinds = {self.kind, other.kind}
        if BITMAP in kinds:
            kind = RUN if len(numbers) == _FULL else BITMAP
        elif kinds == {ARRAY}:
            kind = ARRAY if len(numbers) <= _ARRAY_MOST else RUN if len(numbers) == _FULL else BITMAP
        else:
            small = _run_bytes(numbers) <= min(_BITMAP_BYTES, 2 * len(numbers) + 2)
            kind = RUN if small else ARRAY if len(numbers) <= _ARRAY_MOST else BITMAP
        return Container(kind, numbers)

    def optimised(self) -> Container:
        """As runs, where they take less."""
        size = 2 * len(self.numbers) if self.kind == ARRAY else _BITMAP_BYTES
        return Container(RUN, self.numbers) if self.kind != RUN and size > _run_bytes(self.numbers) else self

    def write(self) -> bytes:
        """Kind, count and content."""
        head = struct.pack("<Bi", self.kind, len(self.numbers))
        if self.kind == ARRAY:
            return head + self.numbers.astype("<u2").tobytes()
        if self.kind == BITMAP:
            bits = np.zeros(_FULL, bool)
            bits[self.numbers] = True
            return head + np.packbits(bits, bitorder="little").tobytes()
        starts, ends = _runs(self.numbers)
        return head + struct.pack("<H", len(starts)) + np.stack([starts, ends - starts], axis=1).astype("<u2").tobytes()


def _runs(numbers: Numbers) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last number of each run."""
    wide = numbers.astype(np.int64)
    breaks = np.flatnonzero(np.diff(wide) != 1)
    return wide[np.concatenate([[0], breaks + 1])], wide[np.concatenate([breaks, [len(wide) - 1]])]


def _run_bytes(numbers: Numbers) -> int:
    return 2 + 4 * (1 + int(np.count_nonzero(np.diff(numbers.astype(np.int64)) != 1)))


# The tree ------------------------------------------------------------------------------------------------------------------------------------------


@dataclass
class Leaf:
    """A key of six bytes and its slot."""

    key: bytes
    slot: int

    def write(self) -> bytes:
        """The node."""
        return struct.pack("<Bhb", LEAF, 0, 0) + self.key + struct.pack("<q", self.slot)


@dataclass
class Branch:
    """A node with children by their next byte. places: of a Node48, where its children are, a byte for each byte. Nodes of other kinds have all they say in
    the children's bytes; those with one byte a child may have rubbish behind them, kept in `rest`.
    """

    kind: int
    prefix: bytes
    children: dict[int, Branch | Leaf] = field(default_factory=dict)
    places: bytearray = field(default_factory=bytearray)
    rest: bytes = b""

    def write(self) -> bytes:
        """The node with all below it."""
        keys = sorted(self.children)
        head = struct.pack("<Bhb", self.kind, len(keys), len(self.prefix)) + self.prefix
        return head + self._body(keys) + b"".join(self.children[k].write() for k in keys)

    def _body(self, keys: list[int]) -> bytes:
        if self.kind == NODE256:
            bits = np.zeros(256, bool)
            bits[keys] = True
            return np.packbits(bits, bitorder="little").tobytes()
        if self.kind == NODE48:
            return _reversed(bytes(self.places), 8)
        whole = CAPACITIES[self.kind]
        return _reversed((bytes(keys) + self.rest[len(keys) :]).ljust(whole, b"\0"), min(whole, 8))

    def insert(self, byte: int, child: Branch | Leaf) -> None:
        """A child that is new to the node, which grows where it is full."""
        if len(self.children) == CAPACITIES[self.kind]:
            self._grow()
        if self.kind == NODE48:
            taken = {p for p in self.places if p != FREE}
            place = len(self.children)
            self.places[byte] = place if place not in taken else next(p for p in range(48) if p not in taken)
        self.children[byte] = child

    def _grow(self) -> None:
        if self.kind == NODE16:
            self.places = bytearray([FREE]) * 256
            for place, byte in enumerate(sorted(self.children)):
                self.places[byte] = place
        self.kind, self.rest = self.kind + 1, b""


def _reversed(raw: bytes, size: int) -> bytes:
    """Whole words of bytes, each turned around."""
    return b"".join(raw[i : i + size][::-1] for i in range(0, len(raw), size))


def _insert(node: Branch | Leaf | None, key: bytes, depth: int, slot: int) -> Branch | Leaf:
    """The node with a key that is new to it."""
    if node is None:
        return Leaf(key, slot)
    if isinstance(node, Leaf):
        common = _common(node.key[depth:], key[depth:])
        fresh = Branch(NODE4, key[depth : depth + common])
        fresh.insert(node.key[depth + common], node)
        fresh.insert(key[depth + common], Leaf(key, slot))
        return fresh
    common = _common(node.prefix, key[depth:])
    if common < len(node.prefix):
        fresh = Branch(NODE4, node.prefix[:common])
        fresh.insert(node.prefix[common], node)
        node.prefix = node.prefix[common + 1 :]
        fresh.insert(key[depth + common], Leaf(key, slot))
        return fresh
    depth += len(node.prefix)
    child = node.children.get(key[depth])
    if child is None:
        node.insert(key[depth], Leaf(key, slot))
    else:
        node.children[key[depth]] = _insert(child, key, depth + 1, slot)
    return node


def _common(left: bytes, right: bytes) -> int:
    """How many bytes both begin with."""
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count


def _leaves(node: Branch | Leaf | None) -> Iterator[Leaf]:
    """All leaves, in the order of their keys."""
    if isinstance(node, Leaf):
        yield node
    elif node is not None:
        for byte in sorted(node.children):
            yield from _leaves(node.children[byte])


# The bitmap ----------------------------------------------------------------------------------------------------------------------------------------


@dataclass
class Bitmap:
    """A bitmap that can be added to. slots: containers by slot, some of which are empty; last: the last slot in use, -1 for none."""

    root: Branch | Leaf | None = None
    slots: list[Container | None] = field(default_factory=list)
    last: int = -1

    @staticmethod
    def read(raw: bytes) -> Bitmap:
        """The bitmap of these bytes. Raises BitmapError."""
        try:
            return _Reader(raw).bitmap()
        except (struct.error, IndexError) as error:
            raise BitmapError(f"the bytes end early, after {len(raw)}") from error

    def add_all(self, other: Bitmap) -> None:
        """All numbers of the other, key by key."""
        here = {leaf.key: leaf.slot for leaf in _leaves(self.root)}
        for leaf in _leaves(other.root):
            container = other.at(leaf.slot)
            slot = here.get(leaf.key)
            if slot is None:
                self.root = _insert(self.root, leaf.key, 0, self._append(container))
            else:
                self.slots[slot] = self.at(slot).joined(container)

    def optimise(self) -> None:
        """Containers as runs where they take less."""
        self.slots = [None if c is None else c.optimised() for c in self.slots]

    def at(self, slot: int) -> Container:
        """The container of a slot."""
        found = self.slots[slot] if 0 <= slot < len(self.slots) else None
        if found is None:
            raise BitmapError(f"the tree names slot {slot}, which holds nothing")
        return found

    def write(self) -> bytes:
        """The bytes that Java writes."""
        if self.root is None:
            return bytes([_EMPTY])
        keys = sum(1 for _ in _leaves(self.root))
        held = b"".join(b"\0" if c is None else b"\1" + c.write() for c in self.slots)
        count = sum(c is not None for c in self.slots)
        lists = struct.pack("<iBi", 1, _NOT_TRIMMED, len(self.slots)) + held + struct.pack("<qii", count, 0, self.last)
        return bytes([_WHOLE]) + struct.pack("<q", keys) + self.root.write() + lists

    def _append(self, container: Container) -> int:
        """A slot behind the last one. There are half as many again when they run out."""
        self.last += 1
        if self.last >= len(self.slots):
            wanted = max(len(self.slots) + len(self.slots) // 2, self.last + 1)
            self.slots += [None] * (wanted - len(self.slots))
        self.slots[self.last] = container
        return self.last


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.place = raw, 0

    def take(self, layout: str) -> tuple[int, ...]:
        found = struct.unpack_from("<" + layout, self.raw, self.place)
        self.place += struct.calcsize("<" + layout)
        return found

    def content(self, count: int) -> bytes:
        if count < 0 or self.place + count > len(self.raw):
            raise BitmapError(f"{count} bytes are wanted at {self.place} of {len(self.raw)}")
        self.place += count
        return self.raw[self.place - count : self.place]

    def bitmap(self) -> Bitmap:
        (tag,) = self.take("B")
        if tag == _EMPTY:
            return Bitmap()
        if tag != _WHOLE:
            raise BitmapError(f"the first byte is {tag}, not 0 or 1")
        (keys,) = self.take("q")
        root = self.node(0, b"")
        if sum(1 for _ in _leaves(root)) != keys:
            raise BitmapError(f"{keys} keys are promised, which the tree does not have")
        (lists,) = self.take("i")
        if lists != 1:
            raise BitmapError(f"{lists} lists of containers; lakesql reads one, of up to 2**31")
        tag, size = self.take("Bi")
        if tag != _NOT_TRIMMED or not 0 < size <= len(self.raw):
            raise BitmapError(f"a list of {size} slots, marked {tag}")
        slots = [self.container() for _ in range(size)]
        count, first, last = self.take("qii")
        if first != 0 or not 0 <= last < size or count != sum(c is not None for c in slots):
            raise BitmapError(f"{count} containers to slot {last} of list {first}; the list has {size} slots")
        found = Bitmap(root, slots, last)
        for leaf in _leaves(root):
            found.at(leaf.slot)
        return found

    def node(self, depth: int, path: bytes) -> Branch | Leaf:
        kind, count, length = self.take("Bhb")
        prefix = self.content(length)
        if kind == LEAF:
            whole = self.content(KEY_BYTES)
            if not whole.startswith(path):
                raise BitmapError(f"key {whole.hex()} stands below {path.hex()}")
            return Leaf(whole, self.take("q")[0])
        if kind not in CAPACITIES or not 0 < count <= CAPACITIES[kind] or depth + length >= KEY_BYTES:
            raise BitmapError(f"a node of kind {kind} with {count} children below {depth + length} bytes")
        branch = Branch(kind, prefix)
        if kind == NODE256:
            keys = np.flatnonzero(np.unpackbits(np.frombuffer(self.content(32), np.uint8), bitorder="little")).tolist()
        elif kind == NODE48:
            branch.places = bytearray(_reversed(self.content(256), 8))
            keys = [b for b, place in enumerate(branch.places) if place != FREE]
        else:
            branch.rest = _reversed(self.content(CAPACITIES[kind]), min(CAPACITIES[kind], 8))
            keys = list(branch.rest[:count])
        if len(keys) != count or keys != sorted(set(keys)):
            raise BitmapError(f"a node of kind {kind} names {len(keys)} children, not {count} in order")
        for key in keys:
            branch.children[key] = self.node(depth + length + 1, path + prefix + bytes([key]))
        return branch

    def container(self) -> Container | None:
        (there,) = self.take("B")
        if there == 0:
            return None
        kind, count = self.take("Bi")
        if there != 1 or kind not in (RUN, BITMAP, ARRAY) or not 0 < count <= _FULL:
            raise BitmapError(f"a container of kind {kind} with {count} numbers")
        if kind == ARRAY:
            numbers = np.frombuffer(self.content(2 * count), "<u2")
        elif kind == BITMAP:
            numbers = np.flatnonzero(np.unpackbits(np.frombuffer(self.content(_BITMAP_BYTES), np.uint8), bitorder="little"))
        else:
            (runs,) = self.take("H")
            pairs = np.frombuffer(self.content(4 * runs), "<u2").astype(np.int64).reshape(-1, 2)
            numbers = np.concatenate([np.arange(s, s + n + 1) for s, n in pairs.tolist()]) if runs else np.zeros(0, np.int64)
        wide = numbers.astype(np.int64)
        if len(wide) != count or (np.diff(wide) <= 0).any() or wide[-1] >= _FULL:
            raise BitmapError(f"a container of kind {kind} holds {len(wide)} numbers, not {count} in order")
        return Container(kind, wide.astype(np.uint16))
