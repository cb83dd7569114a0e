"""What agents touch: each action once, then a thin adapter for each ecosystem."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from skills.chrono_skill import ChronoSkill

__all__ = ["ChronoSkill"]

_HOMES = {"ChronoSkill": "chrono_skill"}

__getattr__ = loader(__name__, _HOMES)
