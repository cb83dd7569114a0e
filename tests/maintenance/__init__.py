"""Verify, repair and what else looks after a store."""
