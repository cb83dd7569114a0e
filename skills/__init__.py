"""What agents touch: each action once, then a thin adapter for each ecosystem."""
