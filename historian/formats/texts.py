"""How a text is written: its byte order mark, its encoding, and how its lines end. New text is written the same way."""

from __future__ import annotations

import codecs

import msgspec

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class TextStyle(msgspec.Struct, frozen=True):
    """`mark` is the byte order mark or nothing; `has_returns` says that every line ends with CR LF."""

    mark: bytes = b""
    encoding: str = "utf-8"
    has_returns: bool = False

    @classmethod
    def of(cls, data: bytes) -> TextStyle | None:
        """Return how `data` is written, None when it is no text (it has a NUL, or bytes of no known encoding)."""
        mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
        try:
            text = data[len(mark) :].decode(encoding)
        except UnicodeDecodeError:
            return None
        if "\0" in text:
            return None
        returns = text.count("\r\n")
        return cls(mark, encoding, returns > 0 and returns == text.count("\n"))

    def decode(self, data: bytes) -> str:
        """Return the text of `data`, its lines ended by LF where all end with CR LF."""
        text = data[len(self.mark) :].decode(self.encoding)
        return text.replace("\r\n", "\n") if self.has_returns else text

    def encode(self, text: str) -> bytes:
        """Return `text` written in this style; one that has CRs of its own keeps its lines as they are."""
        if self.has_returns and "\r" not in text:
            text = text.replace("\n", "\r\n")
        return self.mark + text.encode(self.encoding)
