"""Tests of setting agents up, on real settings files."""
