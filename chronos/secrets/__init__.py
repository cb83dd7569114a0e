"""Secrets: files that are one by their name, and text that looks as if one stood in it. Owns detect-secrets."""

from typing import TYPE_CHECKING

from chronos.lazy import loader
from chronos.secrets.budget import Budget, Unlimited
from chronos.secrets.forms import REACH_BYTES, Spot, find_by_form, is_secret_text
from chronos.secrets.keywords import DETECTOR, LineScan, has_detector
from chronos.secrets.names import is_secret_name
from chronos.secrets.scanner import FORMS, Found, SecretScanner, merge_findings

if TYPE_CHECKING:
    from chronos.secrets.masking import mask, mask_beginning

__all__ = [
    "DETECTOR",
    "FORMS",
    "REACH_BYTES",
    "Budget",
    "Found",
    "LineScan",
    "SecretScanner",
    "Spot",
    "Unlimited",
    "find_by_form",
    "has_detector",
    "is_secret_name",
    "is_secret_text",
    "mask",
    "mask_beginning",
    "merge_findings",
]

_HOMES = {"mask": "masking", "mask_beginning": "masking"}  # a capture needs the rest

__getattr__ = loader(__name__, _HOMES)
