"""`make test-faults`: every fault that a board must survive, with counts (docs/reliability.md)."""
