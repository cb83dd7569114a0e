"""Tests of Chronomancer: real git, real files, a sealed environment."""
