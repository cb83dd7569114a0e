"""Carrying a checkpoint from one store to another: export into a parcel, and import from one."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

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
__getattr__ = loader(__name__, {**dict.fromkeys(__all__, "importing"), **_HOMES})
