"""Speed, disk and memory of `chrono`, measured in one run with its peers and judged against fixed bars.

Not a test suite: figures depend on the machine, so only ratios and generous limits are judged (see `bars`).
"""
