"""The floor: contained paths, durable writes, the tripwires of the tests themselves."""
