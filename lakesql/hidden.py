"""Secrets that people write into URLs, made unreadable before a text is shown.

As many `*` stand for a secret as it has characters, so that every place in the text stays where it is.
"""

from __future__ import annotations

import re

_WORDS = r"secret|passw(?:or)?d|token|credential|access_?key|account_?key|api_?key|private_?key|signature"
_SECRETS = re.compile(
    r"(?P<scheme>:/{1,2})(?P<user>[^\s'\"/@:]*:(?!\d{1,5}/)[^\s'\"@]+)(?=@)"  # user:password@; a port and an @ further on are none
    rf"|(?P<lead>[?&;](?:sig|[\w.-]*(?:{_WORDS})[\w.-]*)=)(?P<value>[^&;\s'\"]+)",
    re.IGNORECASE,
)


def hidden(text: str) -> str:
    """The text with the secrets of its URLs hidden: users with passwords, and parameters whose name says that they are secret.

    >>> hidden("s3://key:abc@bucket/t"), hidden("az://c/t?sig=abc&sv=1"), hidden("abfss://raw@acme.dfs.core.windows.net/t?version=3")
    ('s3://*******@bucket/t', 'az://c/t?sig=***&sv=1', 'abfss://raw@acme.dfs.core.windows.net/t?version=3')
    """
    return _SECRETS.sub(_stars, text) if ":/" in text or "?" in text or "&" in text else text


def _stars(found: re.Match[str]) -> str:
    return (found["scheme"] or found["lead"]) + "*" * len(found["user"] or found["value"])
