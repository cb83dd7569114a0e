"""Checkpoints: what a capture takes, and what comes back."""
