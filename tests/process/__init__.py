"""Children of the tests and of the lab: each in a group of its own, time-limited, reaped."""
