"""Targets: what would be hit as real paths, whether a checkpoint has them, and what to do where none does."""

from __future__ import annotations

from pathlib import Path

from historian.risk.case import Case, Hit
from historian.risk.paths import kind_of_path
from historian.risk.verdicts import RiskLevel, Target

COVERED = frozenset(("code", "memory"))
_MOST_TARGETS = 100
_ELSEWHERE = {"remote": "remote", "branch": "history", "commits": "history"}


def resolve_targets(case: Case) -> tuple[tuple[Target, ...], bool | None]:
    """Return what would be hit and whether all of it is covered; None where that is not known."""
    targets: list[Target] = []
    paths: list[tuple[Path, Hit]] = []
    for hit in case.hits:
        if hit.kind in _ELSEWHERE:
            targets.append(Target(hit.what, _ELSEWHERE[hit.kind], False))
        elif hit.kind == "table" or case.probe is None or not _is_known(hit.what):
            targets.append(Target(hit.what, "unknown", False))
        elif _is_real(case, hit):
            paths += [(path, hit) for path in case.probe.expand(hit.what, hit.folder)]
    paths = paths[:_MOST_TARGETS]
    found = case.probe.coverage([path for path, _ in paths]) if case.probe is not None and paths else ()
    for number, (path, hit) in enumerate(paths):
        place = found[number].value if found else "unknown"
        if place == "absent":
            if hit.kind != "overwritten":
                targets.append(Target(str(path), "absent", True))
            continue
        targets.append(Target(str(path), place, place in COVERED))
        if hit.kind == "overwritten" and place in ("ignored", "outside", "secret", "too-large") and path.is_file():
            case.add("replaces", "coverage.overwrites", f"overwrites {path.name}, which no checkpoint holds",
                     weight=max(case.rules.weight("replaces"), case.rules.table.thresholds["high"] + 0.02))  # fmt: skip
    unknown = any(target.coverage == "unknown" for target in targets)
    missed = [target for target in targets if not target.is_covered and target.coverage not in ("unknown",)]
    covered = False if missed else None if unknown or not targets else True
    return tuple(targets[:_MOST_TARGETS]), covered


def _is_known(text: str) -> bool:
    """Whether all of a path is known before it runs."""
    return not any(sign in text for sign in ("$", "`", "{}"))


def _is_real(case: Case, hit: Hit) -> bool:
    """Whether a hit is a path on this machine that can be looked up; what is temporary is no target."""
    text = hit.what
    if hit.kind == "database" and text.startswith("file:"):
        return False
    is_plain = not any(sign in text for sign in "\0\n") and "://" not in text and len(text) < 400
    return is_plain and kind_of_path(case, text, hit.folder) != "temporary"


def advise(level: RiskLevel, targets: tuple[Target, ...], effects: tuple[str, ...], *, probed: bool) -> str:
    """Return what to do before the operation."""
    if level is RiskLevel.LOW:
        return ""
    parts = []
    if level is RiskLevel.HIGH:
        parts.append("take a checkpoint first: `chrono checkpoint create before`")
    missed = [target for target in targets if not target.is_covered]
    files = [target.what for target in missed if target.coverage in ("ignored", "secret", "too-large")]
    databases = [target.what for target in missed if target.coverage == "outside"]
    if files:
        parts.append(
            f"no checkpoint holds {_few(files)}: name it in .chronoinclude, or declare it with `chrono memory add`"
        )
    if databases:
        parts.append(f"{_few(databases)} is outside the project: `chrono memory add` it, or copy it away")
    if any(target.coverage == "history" for target in missed):
        parts.append("commits and branches are git's own: keep a branch or tag on what is to be kept")
    if any(target.coverage == "store" for target in missed):
        parts.append("the checkpoints themselves are hit: export those that matter with `chrono checkpoint export`")
    if effects:
        parts.append(f"no restore takes back: {', '.join(effects[:3])}")
    if not parts and level is RiskLevel.MEDIUM and probed:
        return "a checkpoint makes this undoable: `chrono checkpoint create NAME`"
    return "; ".join(parts)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
