"""How well operations are judged: labelled ones in two parts, and what the historian says of each.

Rules are written with the development part at hand, and judged by the test part, which nobody tunes on. Each part has
one YAML file a source; `labelled.py` says how to write an entry and what the levels mean.
"""
