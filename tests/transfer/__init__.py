"""Tests of the room that carries checkpoints between stores."""
