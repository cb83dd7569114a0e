"""The historian: risk, guard, lessons, failures and bisecting."""
