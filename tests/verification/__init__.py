"""Verification and repair: damage of every kind is found, named, and mended where it can be."""
