"""The command line, run as people and agents run it: the real program, in a process of its own."""
