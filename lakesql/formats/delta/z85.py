"""Z85, the text form in which the log keeps identifiers and small blobs: five characters for four bytes. Source: ZeroMQ RFC 32."""

from __future__ import annotations

import numpy as np

_ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUES = np.full(256, 255, np.uint8)
_VALUES[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(85, dtype=np.uint8)
_WEIGHTS = np.array([85**4, 85**3, 85**2, 85, 1], np.uint64)


def decode(text: str) -> bytes:
    """The bytes a text stands for. Raises ValueError for a text that is not Z85.

    The last group may be padded, as some writers do it: as many `#` in front as bytes are missing from four, then one character more than there are bytes. No
    whole group begins with `#`, for it would stand for more than four bytes hold.
    """
    if len(text) % 5:
        raise ValueError(f"{len(text)} characters, not a multiple of five")
    if not text:
        return b""
    digits = _VALUES[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]
    if (digits == 255).any():
        raise ValueError(f"it holds {text[int(np.argmax(digits == 255))]!r}")
    groups = digits.reshape(-1, 5).astype(np.uint64)
    missing = _padding(text[-5:])
    groups[-1, :missing] = 0
    numbers = groups @ _WEIGHTS
    if (numbers[:-1] >> 32).any() or numbers[-1] >> np.uint64(8 * (4 - missing)):
        raise ValueError("a group stands for more than four bytes")
    data = numbers.astype(">u4").tobytes()
    return data if not missing else data[:-4] + data[-(4 - missing) :]


def _padding(group: str) -> int:
    missing = len(group) - len(group.lstrip("#"))
    if missing > 3:
        raise ValueError("its last group holds no byte")
    return missing
