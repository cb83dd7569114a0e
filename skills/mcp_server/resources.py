"""What a client can read without calling a tool: each resource is one action that only reads."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from skills.mcp_server.documents import Document

SCHEME = "chrono://"
MIME_TYPE = "application/json"
_RECEIPT = ("checkpoint_id", "name", "timeline", "grade", "receipt", "receipt_count", "secrets", "warnings")
_FIXED = {
    "status": (
        "status",
        "Where things stand",
        "What has changed since the newest checkpoint, and what undo takes back",
    ),
    "timelines": ("list_timelines", "Timelines", "The timelines, and the folder in which each is worked on"),
    "lessons": ("search_lessons", "Lessons", "What was learned from earlier work on this project, the newest first"),
}
_TEMPLATES = {
    "checkpoint/{id}": ("Checkpoint", "What one checkpoint holds; the id can be a name, '@' for the newest, 'main@~1'"),
    "checkpoint/{id}/receipt": ("Receipt", "What is not in a checkpoint, and why"),
}


def list_fixed() -> list[Document]:
    """Return the resources that are always there."""
    return [
        {"uri": f"{SCHEME}{path}", "name": path, "title": title, "description": about, "mimeType": MIME_TYPE}
        for path, (_, title, about) in _FIXED.items()
    ]


def list_templates() -> list[Document]:
    """Return the templates of all others."""
    return [
        {
            "uriTemplate": f"{SCHEME}{path}",
            "name": title.lower(),
            "title": title,
            "description": about,
            "mimeType": MIME_TYPE,
        }
        for path, (title, about) in _TEMPLATES.items()
    ]


def checkpoint_resource(checkpoint: Document) -> Document:
    """Return one checkpoint of a list as a resource."""
    return {
        "uri": f"{SCHEME}checkpoint/{checkpoint['checkpoint_id']}",
        "name": checkpoint["name"],
        "description": checkpoint["description"] or f"Checkpoint of timeline {checkpoint['timeline']}",
        "mimeType": MIME_TYPE,
        "annotations": {"lastModified": checkpoint["created_at"]},
    }


def find_action_of(uri: str) -> tuple[str, dict[str, Any], tuple[str, ...]] | None:
    """Return the action that a resource is, its arguments, and the keys that are wanted (or all); None is unknown."""
    path = uri.removeprefix(SCHEME).rstrip("/")
    if not uri.startswith(SCHEME):
        return None
    if path in _FIXED:
        return _FIXED[path][0], {}, ()
    noun, _, rest = path.partition("/")
    checkpoint, _, part = rest.partition("/")
    if noun != "checkpoint" or not checkpoint or part not in ("", "receipt"):
        return None
    return "show_checkpoint", {"checkpoint_id": unquote(checkpoint)}, _RECEIPT if part else ()
