"""`chrono`: the command line, one file per noun. The only room that prints.

A command reads its options, makes one call to the engine (or two: plan, then execute) and renders once, as text or as
one JSON document. Nothing is decided here that another front door would have to decide again.
"""
