"""Secrets: files that are one by their name, and text that looks as if one stood in it. Owns detect-secrets."""

from chronos.secrets.budget import Budget, Unlimited
from chronos.secrets.forms import REACH_BYTES, Spot, find_by_form, is_secret_text
from chronos.secrets.keywords import DETECTOR, LineScan, has_detector
from chronos.secrets.masking import mask
from chronos.secrets.names import is_secret_name
from chronos.secrets.scanner import FORMS, Found, SecretScanner, merge_findings

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
    "merge_findings",
]
