"""Tests of what agents touch: hooks, servers, tools, and setting agents up."""
