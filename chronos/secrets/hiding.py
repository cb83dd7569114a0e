"""Taking out of a command or a message what is given in it as a secret, whatever its form: so that it can be kept.

It goes by what stands before a value: a name that says secret, an option or header that is followed by one, the user
part of an address. What is taken out too much is only a word less in a name; nothing here proves that nothing is left.
"""

from __future__ import annotations

import re

_VALUE = r"""(?:\\?"[^"]*"|\\?'[^']*'|[^\s"'`;|&)}\]]+)"""
_NAME = (
    r"[\w.-]{0,64}?(?:passw(?:or)?d|passphrase|pass|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|auth[_-]?key|account[_-]?key|secret[_-]?key|auth)(?:[_-](?:id|key|value|text|hash))?"
)
_HEADER = (
    r"(?:proxy-)?authorization|(?:set-)?cookie|private-token|job-token"
    r"|x-[\w-]{0,64}?(?:key|token|auth|secret)[\w-]{0,64}"
)
# What stays is the first group.
_GIVEN = (
    r"(://)[^/\s@'\"]+@",
    rf"(?<![\w-])((?:{_HEADER})\s*[:=]\s*)[^'\"\n]+",
    rf"(?<=')((?:--?)?{_NAME}=)[^']*(?=')",  # an argument that was quoted as a whole
    rf"(?<![\w.-])({_NAME}\\?[\"']?\s*[:=]\s*){_VALUE}",
    rf"((?:^|[\s'\"])--?{_NAME}[\"']?\s+){_VALUE}",
    rf"\b(\w{{0,64}}?_(?:key|token|password|secret)\s+|identified\s+(?:with\s+\S+\s+)?by\s+)(?![-&|;>]){_VALUE}",
    rf"(?<![\w-])((?:password|passphrase|token|secret|bearer)\s+)(?![-&|;>]){_VALUE}",
    r"(\s(?:-u|--user|--proxy-user|-U)[\s=]?['\"]?)(?!\d+:\d+\b)[^\s:'\"/]+:[^\s'\"]+",  # curl, wget, ldap programs
    rf"(\b(?:sshpass|docker login|podman login|helm registry login)\b[^;|&\n]{{0,200}}?\s-p\s*){_VALUE}",
    rf"(\b(?:mysql\w*|mariadb[\w-]*)\b[^;|&\n]{{0,200}}?\s-p){_VALUE}",
    rf"(\bredis-cli\b[^;|&\n]{{0,200}}?\s-a\s+){_VALUE}",
    rf"(\b[A-Z][A-Z0-9_]*(?:KEY|PASS|PW)=){_VALUE}",
)  # fmt: skip


def hide_secrets(text: str) -> str:
    """Return a command or a message with `…` for the values that it gives as passwords, tokens, keys and users."""
    for pattern in _GIVEN:
        text = re.sub(f"(?i){pattern}", r"\1" if pattern is _GIVEN[0] else r"\1…", text)
    return text
