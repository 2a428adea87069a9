"""Bitmaps of 64-bit numbers in Java's form: bytes that Java wrote, unions against sets of numbers, every kind of node and container, damaged bytes."""

from __future__ import annotations

import struct
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakesql.engines.java_bitmaps import ARRAY, BITMAP, LEAF, NODE4, NODE16, NODE48, NODE256, RUN, Bitmap, BitmapError, Branch, _leaves, union

EMPTY = b"\0"


def single(number: int) -> bytes:
    """A bitmap of one number, written out from the Java code."""
    key, low = number >> 16, number & 0xFFFF
    leaf = struct.pack("<Bhb", LEAF, 0, 0) + key.to_bytes(6, "big") + struct.pack("<q", 0)
    container = struct.pack("<BBiH", 1, ARRAY, 1, low)
    return b"\1" + struct.pack("<q", 1) + leaf + struct.pack("<iBi", 1, 0xFE, 1) + container + struct.pack("<qii", 1, 0, 0)


def made(numbers: list[int]) -> bytes:
    """A bitmap of numbers that came one after the other."""
    return reduce(union, map(single, numbers), EMPTY)


def held(raw: bytes) -> list[int]:
    """The numbers of a bitmap."""
    bitmap = Bitmap.read(raw)
    return [int.from_bytes(leaf.key, "big") << 16 | int(n) for leaf in _leaves(bitmap.root) for n in bitmap.at(leaf.slot).numbers]


def kind_of_root(raw: bytes) -> int:
    root = Bitmap.read(raw).root
    assert isinstance(root, Branch)
    return root.kind


def kinds(raw: bytes) -> list[int]:
    """How its containers are kept."""
    return [c.kind for c in Bitmap.read(raw).slots if c is not None]


NUMBERS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 300).map(lambda n: n << 16) | st.integers(0, 40).map(lambda n: n << 40 | n), max_size=40)


@given(NUMBERS, NUMBERS)
@example([1, 2, 3], [])
@example([2**63, 0], [2**64 - 1, 0])
def test_unions_are_those_of_sets(left: list[int], right: list[int]) -> None:
    both = union(made(left), made(right))
    assert held(both) == sorted({*left, *right})
    assert Bitmap.read(both).write() == both
    assert union(both, both) == both


def test_a_union_written_by_java() -> None:
    """A table that Flink 1.20 and Paimon 1.3.1 wrote, and what they read: the second row's keys go behind the first's."""
    first = "0102000000000000000002000200000000010004000000000000000000000000000000000004000000000001000000010000000000000001000000fe02000000"
    first += "0102010000000100010201000000000002000000000000000000000001000000"
    second = "0102000000000000000002000200000000020104000000000001000000000000000000000004000000000002000000010000000000000001000000fe02000000"
    second += "0102010000000000010201000000050002000000000000000000000001000000"
    both = "0103000000000000000003000200000002010004000000000000000000000000000000000004000000000001000000010000000000000004000000000002000000"
    both += "020000000000000001000000fe0300000001020100000001000102010000000000010201000000050003000000000000000000000002000000"
    assert held(bytes.fromhex(first)) == [1, 2**40]
    assert union(bytes.fromhex(first), bytes.fromhex(second)) == bytes.fromhex(both)


@pytest.mark.parametrize(("count", "kind"), [(4, NODE4), (5, NODE16), (16, NODE16), (17, NODE48), (48, NODE48), (49, NODE256), (256, NODE256)])
def test_nodes_grow(count: int, kind: int) -> None:
    numbers = [n << 16 for n in range(count)]
    for order in (numbers, numbers[::-1]):
        raw = made(order)
        assert kind_of_root(raw) == kind
        assert held(raw) == numbers


def test_slots_are_in_the_order_keys_came_and_half_as_many_again() -> None:
    raw = made([n << 16 for n in (7, 3, 5, 1, 9)])
    bitmap = Bitmap.read(raw)
    assert [(leaf.key[-1], leaf.slot) for leaf in _leaves(bitmap.root)] == [(1, 3), (3, 1), (5, 2), (7, 0), (9, 4)]
    assert len(bitmap.slots) == 6  # 1, 2, 3, 4, 6
    assert bitmap.last == 4


def test_a_node48_takes_places_in_the_order_of_its_children_when_it_grew() -> None:
    root = Bitmap.read(made([n << 16 for n in [*range(20, 4, -1), 3, 2]])).root
    assert isinstance(root, Branch)
    assert [root.places[b] for b in (5, 20, 3, 2)] == [0, 15, 16, 17]


def test_containers() -> None:
    dense = made(list(range(10)))
    assert kinds(dense) == [RUN]
    spread = reduce(union, (single(n * 3) for n in range(4096)), EMPTY)
    assert kinds(spread) == [ARRAY]
    wide = union(spread, single(65535))
    assert kinds(wide) == [BITMAP]
    assert kinds(union(dense, wide)) == [BITMAP]
    assert kinds(union(dense, made([100]))) == [RUN]
    assert len(held(union(wide, dense))) == len({*held(wide), *held(dense)})


def test_full_containers_are_runs() -> None:
    evens, odds = (_bitmap(pattern) for pattern in (0x55, 0xAA))
    assert kinds(union(evens, odds)) == [RUN]
    assert len(held(union(evens, odds))) == 65536


def _bitmap(pattern: int) -> bytes:
    """Every other number below 2**16."""
    head = single(0)[: -struct.calcsize("<BBiHqii")]
    return head + struct.pack("<BBi", 1, BITMAP, 32768) + bytes([pattern]) * 8192 + struct.pack("<qii", 1, 0, 0)


SOME = made([n << 16 for n in range(60)] + [2**40, 2**40 + 1, 2**63])


@given(st.integers(0, len(SOME) - 1))
def test_bytes_that_end_early(length: int) -> None:
    with pytest.raises(BitmapError):
        Bitmap.read(SOME[:length])


@given(st.integers(0, len(SOME) - 1), st.integers(1, 255))
def test_damaged_bytes_are_refused_or_read_as_they_say(place: int, flip: int) -> None:
    damaged = bytearray(SOME)
    damaged[place] ^= flip
    try:
        bitmap = Bitmap.read(bytes(damaged))
    except BitmapError:
        return
    assert held(bitmap.write()) == held(bytes(damaged))


@pytest.mark.parametrize("raw", [b"", b"\2", b"\1", b"\1" + bytes(8) + b"\7" * 40])
def test_bytes_that_are_no_bitmap(raw: bytes) -> None:
    with pytest.raises(BitmapError):
        union(raw, EMPTY)
