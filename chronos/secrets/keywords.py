"""What stands behind a word such as `password`, and other tokens that need a look at whole lines: by detect-secrets.

It is an optional dependency (extra `files`), costs 110 ms to import and reads 1 to 2.5 MB/s, so it runs on the time
that is left. Its entropy plugins stay out: they call 48,781 strings of 10 MB of Python's own library secrets. Of what
its keyword plugin finds, only quoted values of eight characters or more in which a letter and a digit stand count.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from chronos.secrets.forms import is_allowed_line

DETECTOR = "detect-secrets"
_LONGEST_LINE_BYTES = 1000
_FEWEST_CHARACTERS = 8
_PLUGINS = (
    ("aws", "AWSKeyDetector"), ("jwt", "JwtTokenDetector"), ("discord", "DiscordBotTokenDetector"),
    ("cloudant", "CloudantDetector"), ("ibm_cloud_iam", "IbmCloudIamDetector"), ("ibm_cos_hmac", "IbmCosHmacDetector"),
    ("softlayer", "SoftlayerDetector"),
)  # fmt: skip

LineScan: TypeAlias = Callable[[bytes, str], Iterable[tuple[int, str]]]


def has_detector() -> bool:
    """Tell whether detect-secrets is installed, without importing it."""
    from importlib.util import find_spec  # not everybody has imported it

    return find_spec("detect_secrets") is not None


def is_detector_loaded() -> bool:
    """Tell whether this process has imported detect-secrets already."""
    return "detect_secrets.plugins.keyword" in sys.modules


def load_detector() -> LineScan | None:
    """Import detect-secrets; return a function from a text and its file name to (line number, what) of each finding.

    None when it is not installed, or not in a version that has what is needed of it: no checkpoint fails for that.
    """
    from importlib import import_module

    try:
        from detect_secrets.filters import heuristic
        from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector

        plugins = [getattr(import_module(f"detect_secrets.plugins.{name}"), kind)() for name, kind in _PLUGINS]
        keyword = KeywordDetector()
    except (ImportError, AttributeError, TypeError):
        return None
    words = re.compile("|".join(DENYLIST), re.IGNORECASE)

    def is_likely(value: str, line: str) -> bool:
        if len(value) < _FEWEST_CHARACTERS or not any(map(str.isdigit, value)) or not any(map(str.isalpha, value)):
            return False
        return not any(test(value) for test in _value_filters(heuristic)) and not (
            " " in value or heuristic.is_likely_id_string(value, line, keyword) or heuristic.is_indirect_reference(line)
        )

    def scan(data: bytes, name: str) -> Iterable[tuple[int, str]]:
        if heuristic.is_lock_file(name) or heuristic.is_non_text_file(name) or heuristic.is_swagger_file(name):
            return
        for number, raw in enumerate(data.split(b"\n"), start=1):
            if len(raw) > _LONGEST_LINE_BYTES or is_allowed_line(raw):
                continue
            line = raw.decode("utf-8", "replace")
            if words.search(line) and any(is_likely(value, line) for value in keyword.analyze_string(line)):
                yield number, "a password or key behind such a name"
                continue
            for plugin in plugins:
                if any(True for _ in plugin.analyze_string(line)):
                    yield number, str(plugin.secret_type)
                    break

    return scan


def _value_filters(heuristic: Any) -> tuple[Callable[[str], bool], ...]:
    return (
        heuristic.is_sequential_string,
        heuristic.is_potential_uuid,
        heuristic.is_templated_secret,
        heuristic.is_prefixed_with_dollar_sign,
        heuristic.is_not_alphanumeric_string,
    )
