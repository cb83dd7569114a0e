"""Carrying a checkpoint from one store to another: export into a parcel, and import from one."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronos.transfer.exporting import Exported, export
    from chronos.transfer.importing import (
        Arrival,
        BaseNeed,
        Imported,
        ImportPlan,
        import_parcel,
        open_arrival,
        plan_import,
    )
    from chronos.transfer.screening import LeftOutFile

__all__ = [
    "Arrival",
    "BaseNeed",
    "Exported",
    "ImportPlan",
    "Imported",
    "LeftOutFile",
    "export",
    "import_parcel",
    "open_arrival",
    "plan_import",
]

_HOMES = {"Exported": "exporting", "export": "exporting", "LeftOutFile": "screening"}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is: the commands that people type all day need none of it (PEP 562)."""
    if name not in __all__:
        raise AttributeError(name)
    found: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'importing')}"), name)
    globals()[name] = found
    return found
