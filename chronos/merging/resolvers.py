"""Who may be asked about a conflict: the resolver of the package, and others that entry points bring.

`chronos.merge_resolvers` names factories: a factory gets `ResolverSettings` and returns a `Resolver`, which answers
with a `Resolution`, or None where the conflict stays. A resolver is only made when somebody named it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import cast

import msgspec

from chronos.config import Config, merge_resolver_key
from chronos.errors import UnknownResolverError, UnsupportedError
from chronos.files import display
from chronos.merging.conflicts import Conflict, Resolution, Resolver

ENTRY_POINTS = "chronos.merge_resolvers"
_OWN = {"openai": ("chronos.merging.asking", "ModelResolver")}
_UPGRADE = "upgrade its package; no conflict was touched"
_EXTRA = "pip install 'chronomancer[llm]'"


class ResolverSettings(msgspec.Struct, frozen=True):
    """What a resolver is made with. `notify` takes one line for people: what was not decided, and why."""

    notify: Callable[[str], None]
    url: str = ""
    model: str = ""
    key: str = ""
    timeout_s: float = 60.0

    @classmethod
    def from_config(
        cls, config: Config, environment: Mapping[str, str], notify: Callable[[str], None]
    ) -> ResolverSettings:
        """Take the settings, and the key from the environment."""
        return cls(
            notify,
            config.merge_resolver_url,
            config.merge_resolver_model,
            merge_resolver_key(environment),
            config.merge_resolver_timeout_s,
        )

    def __repr__(self) -> str:
        """Show all but the key."""
        return f"ResolverSettings(url={self.url!r}, model={self.model!r}, timeout_s={self.timeout_s!r})"


ResolverFactory = Callable[[ResolverSettings], Resolver]


def list_resolvers() -> list[str]:
    """Return the names of all resolvers, sorted."""
    from importlib.metadata import entry_points  # 15 ms, and few merges have a conflict

    return sorted({*_OWN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


@contextmanager
def open_resolver(name: str, settings: ResolverSettings) -> Iterator[Resolver]:
    """Make the resolver called `name`, and close it at the end where it has a `close`.

    Ours goes before one of another package with the same name. Raises UnknownResolverError; UnsupportedError when what
    it needs is not installed, or it is none; what the resolver raises about the settings (ours: BadConfigError).
    """
    resolver = _load(name)(settings)
    if not callable(resolver):
        raise UnsupportedError(f"the merge resolver {display(name)} cannot be called", hint=_UPGRADE)

    def resolve(conflict: Conflict) -> Resolution | None:
        answer = resolver(conflict)
        if answer is not None and not isinstance(answer, Resolution):
            found = type(answer).__name__
            raise UnsupportedError(f"the merge resolver {display(name)} answers with a {found}", hint=_UPGRADE)
        return answer

    try:
        yield resolve
    finally:
        close = getattr(resolver, "close", None)
        if close is not None:
            close()


def _load(name: str) -> ResolverFactory:
    try:
        if name in _OWN:
            module, factory = _OWN[name]
            return cast("ResolverFactory", getattr(import_module(module), factory))
        from importlib.metadata import entry_points

        for point in entry_points(group=ENTRY_POINTS, name=name):
            return cast("ResolverFactory", point.load())
    except (ImportError, AttributeError) as cause:
        hint = _EXTRA if name in _OWN else "install what its package needs"
        raise UnsupportedError(f"the merge resolver {display(name)} cannot be loaded: {cause}", hint=hint) from cause
    raise UnknownResolverError(
        f"there is no merge resolver called {display(name)}",
        hint=f"known: {', '.join(map(display, list_resolvers()))}; others come with packages that you install",
    )
