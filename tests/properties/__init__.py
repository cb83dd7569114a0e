"""Properties that hold for every input: round trips, a state machine against a model, codecs against real git."""
