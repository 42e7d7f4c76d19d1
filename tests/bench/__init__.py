"""`make bench`: the numbers of docs/benchmarks.md, measured on a real kernel in one run."""
