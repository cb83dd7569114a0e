"""`python -m historian.risk.packing` packs the rules of the package anew, after a change of their files."""

from __future__ import annotations

from historian.risk.rule_files import pack_rules

if __name__ == "__main__":
    pack_rules()
