"""Faults on purpose: stop or fail the program at the n-th system call that could change something, for every n."""
