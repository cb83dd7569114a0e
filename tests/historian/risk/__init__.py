"""Risk: how operations are judged."""
