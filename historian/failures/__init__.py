"""Failures: reading error texts, and finding out which change since a checkpoint may be to blame."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.failures.analysis import FailureAnalysis, Report, analyze
    from historian.failures.parsed import Cause, Frame, ParsedError, Source
    from historian.failures.reading import read_error
    from historian.failures.suspects import Suspect

__all__ = ["Cause", "FailureAnalysis", "Frame", "ParsedError", "Report", "Source", "Suspect", "analyze", "read_error"]

_HOMES = {
    "Cause": "parsed", "FailureAnalysis": "analysis", "Frame": "parsed", "ParsedError": "parsed", "Source": "parsed",
    "Report": "analysis", "Suspect": "suspects", "analyze": "analysis", "read_error": "reading",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
