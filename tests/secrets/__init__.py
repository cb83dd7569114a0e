"""Files that are secrets, and text that looks like one."""
