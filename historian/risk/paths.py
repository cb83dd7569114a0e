"""What a path is (temporary, git's own, migrations, lock files, pipelines, secrets), and changes of files."""

from __future__ import annotations

import os
import re

from historian.risk.case import Case
from historian.risk.listing import late
from historian.risk.operations import Operation

_LARGE_BYTES = 100_000
_PROJECT = "/project"
_DEVICES = late(r"/dev/(?!null$|zero$|stdout$|stderr$|stdin$|tty$|fd/|shm/|random$|urandom$|tcp/|udp/|full$)")
_WIDE = late(
    r"(?:/+|~/?|\.{1,2}/?|\*|\./\*|/\*|~/\*|\$HOME/?|\$\{HOME\}/?|\$PWD/?"
    r"|/(?:etc|usr|var|opt|home|root|srv|bin|lib|boot|Users)"
    r"(?:/[^/]+)?/?(?:\*)?|[A-Za-z]:[\\/]*)$"
)
_SAYS = {
    "protected": "is git's own, the checkpoints' or the lessons'", "system": "belongs to the system",
    "temporary": "is temporary", "secret": "is a secret, which no checkpoint holds", "migration": "changes a schema",
    "lock": "pins dependencies", "pipeline": "is what the pipeline runs", "state": "is the state of infrastructure",
    "database": "is a database",
}  # fmt: skip
_CHANGES = {
    "create": "create", "created": "create", "add": "create", "new": "create", "write": "update", "update": "update",
    "edit": "update", "modify": "update", "append": "update", "patch": "update", "rename": "rename", "move": "rename",
    "delete": "delete", "remove": "delete", "unlink": "delete", "truncate": "delete", "read": "read", "view": "read",
    "overwrite": "update", "replace": "update", "chmod": "update",
}  # fmt: skip


def kind_of_path(case: Case, path: str, folder: str = "") -> str:
    """Return what a path is, "" for an ordinary one. A relative path is seen from `folder`.

    The project itself is seen as an ordinary folder, wherever it lies.
    """
    text = path.rstrip("/") or "/"
    if not text.startswith(("/", "$")):
        text = os.path.normpath(f"{folder or _PROJECT}/{text.removeprefix('~/')}")
    elif ".." in text:
        text = os.path.normpath(text)
    home = case.home.rstrip("/")
    if home and (text == home or text.startswith(f"{home}/")):
        text = _PROJECT + text[len(home) :]
    elif not text.startswith(("/", "$")):
        text = f"{_PROJECT}/{text}"
    for kind, pattern in case.rules.paths:
        if pattern.match(text):
            return kind
    return ""


def is_device(path: str) -> bool:
    """Tell whether a path is a device that holds data."""
    return _DEVICES.match(path) is not None


def is_wide(path: str) -> bool:
    """Tell whether a path stands for very much: a root, a home, all of a folder."""
    return _WIDE.match(path) is not None


def is_schedule(path: str) -> bool:
    """Tell whether what stands in a file is run by cron."""
    return path.startswith(("/etc/cron", "/var/spool/cron"))


def scheduled_command(line: str, *, has_user: bool = False) -> str:
    """Return the command of a line of a crontab, "" for one that has none."""
    if re.match(r"\s*(?:#|[A-Za-z_]+\s*=)", line):
        return ""
    fields = r"\s*(?:@\w+|(?:\S+\s+){5})\s*" + (r"\S+" if has_user else "")
    return re.sub(f"^{fields}", "", line)


def judge_change(case: Case, path: str, folder: str, change: str, who: str) -> None:
    """Judge what a command does to one file: `change` is create, update, append, rename or delete."""
    if not path or path in ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "-", "NUL"):
        return
    if is_device(path):
        case.add("disks", "path.device", f"{who} writes to the device {path[:80]}")
        return
    if path.startswith("/proc/sysrq-trigger"):
        case.add("stops", "path.sysrq", f"{who} writes to {path}, which stops the machine")
        return
    rules = case.rules
    kind = kind_of_path(case, path, folder)
    shown = path[:80]
    if change == "delete" and kind != "temporary":
        case.add("destroys", "path.delete", f"{who} removes {shown}" + (f", which {_SAYS[kind]}" if kind else ""))
    elif change == "delete":
        case.add("changes", "path.temporary", f"{who} removes {shown}, which is temporary")
        return
    elif kind in ("protected", "system", "state"):
        weight = max(rules.table.path_weights[kind], rules.weight("changes"))
        case.add("changes", f"path.{kind}", f"{who} changes {shown}, which {_SAYS[kind]}", weight=weight)
    else:
        case.add("changes", "path.change", f"{who} changes {shown}")
    case.hit("overwritten" if change == "update" else "path", path, folder)


def judge_file(case: Case, operation: Operation) -> None:
    """Judge a change of a file that is known as such, by what the path is, the change, and its size."""
    rules, path = case.rules, operation.path or operation.text.strip()
    change = _CHANGES.get(operation.change.lower(), "update")
    if change == "read":
        case.add("reads", "file.read", f"reads {path[:120]}")
        return
    kind = kind_of_path(case, path, operation.cwd)
    about = f"{path[:120]}, which {_SAYS[kind]}" if kind else path[:120]
    action = {"delete": "destroys", "rename": "changes"}.get(change, "changes")
    weight = rules.weight(action)
    if kind == "temporary":
        weight = rules.table.path_weights[kind]
    elif kind in ("protected", "state") or (kind and change != "create"):
        weight = max(weight, rules.table.path_weights.get(kind, weight))
    case.add(action, f"file.{kind or change}", f"{change}s {about}", weight=weight)
    if operation.size_bytes is not None and operation.size_bytes >= _LARGE_BYTES and kind != "temporary":
        size = f"{operation.size_bytes:,} bytes change at once"
        case.add(action, "file.large", size, weight=min(1.0, weight + 0.1))
    case.hit("overwritten" if change == "update" else "path", path, operation.cwd)
