"""The JSON of logs, tidy or not."""

from __future__ import annotations

import math

import pytest

from formats.delta.corpus_log import delta_tables
from lakesql.errors import MetadataError
from lakesql.formats.delta.json_lines import decode, parse_actions


def parse(data: bytes) -> list[dict[str, object]]:
    return parse_actions(data, source="7.json")


@pytest.mark.parametrize(
    ("data", "actions"),
    [
        (b'{"a":1}\n{"b":2}', [{"a": 1}, {"b": 2}]),
        (b'{"a":1}\r\n\r\n{"b":2}\r\n\n', [{"a": 1}, {"b": 2}]),
        (b'\xef\xbb\xbf{"a":1}', [{"a": 1}]),
        (b'{\n  "a": {\n    "b": 1\n  }\n}\n{"c":2}\n', [{"a": {"b": 1}}, {"c": 2}]),
        (b'{"c":2}\n{\n"a":\n1}', [{"c": 2}, {"a": 1}]),
        (b'{"a":1}{"b":2}', [{"a": 1}, {"b": 2}]),
        (b'{"a":"\\ud800x"}', [{"a": "\ufffdx"}]),
        (b'{"\\udfff":["\\ud800"]}', [{"\ufffd": ["\ufffd"]}]),
        (b'{"a":"\\ud83d\\ude00"}', [{"a": "\U0001f600"}]),
        (b'{"a":18446744073709551615}', [{"a": 2**64 - 1}]),
        ('{"é":"日本"}'.encode(), [{"é": "日本"}]),
    ],
)
def test_reads_what_writers_wrote(data: bytes, actions: list[dict[str, object]]) -> None:
    assert parse(data) == actions


def test_words_that_are_not_json() -> None:
    first, second = parse(b'{"a":NaN}\n{"a":-Infinity}\n')
    assert math.isnan(first["a"])  # type: ignore[arg-type]
    assert second["a"] == -math.inf


def test_integers_without_end_are_read_and_harmless() -> None:
    assert parse(b'{"a":' + b"9" * 30 + b"}")[0]["a"] == pytest.approx(1e30)
    assert parse(b'{"a":' + b"9" * 10_000 + b',"b":1}')[0]["b"] == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "7.json is empty"),
        (b"\n \n", "7.json is empty"),
        (b'{"a":1}\n{"b":', "line 2: the JSON ends early"),
        (b'{"a":1}\n{"b":"x', "line 2: the JSON ends early"),
        (b'{"a":1}\n{\n"b":{\n', "line 2: the JSON ends early"),
        (b"<html>", "line 1: not JSON"),
        (b'{"a":1}\n\n{"b" 1}', "line 3: not JSON"),
        (b'{"a":1}\n{"b":\n1}\n}', "line 4: not JSON"),
        (b"\x00" * 100, "line 1: not JSON"),
        (b'{"a":1}\n{"b":"\xff"}', "line 2: not UTF-8"),
        (b'{"a":1}\n[1]', r"line 2: expected a JSON object that holds an action, found \[1\]"),
        (b"null", "line 1: expected a JSON object"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_what_is_no_log_names_the_line(data: bytes, message: str) -> None:
    with pytest.raises(MetadataError, match=rf"7.json.*{message}" if "empty" not in message else message):
        parse(data)


def test_a_log_in_many_lines_is_read_in_linear_time() -> None:
    assert len(parse(b'{\n"a":NaN}\n' * 50_000)) == 50_000


def test_one_value() -> None:
    assert decode('{"a":[1,2.5,null]}') == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError):
        decode(b"\xff")


def test_every_commit_of_the_corpus() -> None:
    files = [f for table in delta_tables() for f in (table / "_delta_log").glob("*.json") if f.stem.isdigit()]
    assert sum(len(parse_actions(f.read_bytes(), source=f.name)) for f in files) > 5 * len(files) / 2
