"""The room that runs git."""
