"""Cuts the power at every write of a recorded workload and opens the store afterwards."""
