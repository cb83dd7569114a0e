"""The parcel: one `.chrono` file with a checkpoint and everything that another store needs to have it."""

from chronos.parcel.layout import Bundle, Span
from chronos.parcel.reader import Parcel
from chronos.parcel.writer import ParcelWriter

__all__ = ["Bundle", "Parcel", "ParcelWriter", "Span"]
