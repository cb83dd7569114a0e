"""What a lesson may be made of."""

from __future__ import annotations

from collections.abc import Iterable

from chronos import clock
from chronos.secrets import mask
from historian.errors import BadLessonError
from historian.lessons.lesson import LARGEST_TEXT_CHARS, Learned, id_of

_MOST_TAGS = 64
_LONGEST_TAG = 120


def check_lesson(
    situation: str, action: str, result: str, feedback: str, tags: Iterable[str], before: str | None, after: str | None
) -> Learned:
    """Return the line for a lesson that is learned now. Raises BadLessonError.

    Situation, action and result must say something. Characters that are none (lone surrogates) become escapes, and
    what looks like a secret is left out: lessons are kept for good, and shown to agents.
    """
    texts = {"situation": situation, "action": action, "result": result, "feedback": feedback}
    clean = {name: _text(name, text) for name, text in texts.items()}
    missing = [name for name in ("situation", "action", "result") if not clean[name]]
    if missing:
        raise BadLessonError(f"a lesson needs {' and '.join(missing)}")
    if sum(map(len, clean.values())) > LARGEST_TEXT_CHARS:
        raise BadLessonError(f"a lesson has at most {LARGEST_TEXT_CHARS:,} characters", hint="shorten it")
    return Learned(
        lesson=id_of(clean["situation"], clean["action"], clean["result"]), at=clock.to_text(clock.now()),
        situation=clean["situation"], action=clean["action"], result=clean["result"], feedback=clean["feedback"],
        tags=_tags(tags), before=_text("checkpoint_before", before or "") or None,
        after=_text("checkpoint_after", after or "") or None,
    )  # fmt: skip


def _text(name: str, text: object) -> str:
    if not isinstance(text, str):
        raise BadLessonError(f"{name} is no text but a {type(text).__name__}")
    if len(text) > LARGEST_TEXT_CHARS:
        raise BadLessonError(f"a lesson has at most {LARGEST_TEXT_CHARS:,} characters", hint="shorten it")
    return mask(text.encode("utf-8", "backslashreplace").decode("utf-8")).strip()


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    given = [tags] if isinstance(tags, str) else list(tags)
    found = tuple(dict.fromkeys(filter(None, (" ".join(_text("a tag", tag).split()) for tag in given))))
    if len(found) > _MOST_TAGS or any(len(tag) > _LONGEST_TAG for tag in found):
        raise BadLessonError(f"a lesson has at most {_MOST_TAGS} tags of at most {_LONGEST_TAG} characters")
    return found
