"""Everything that reads bytes from outside, fed with bytes that nobody wrote: docs/fuzzing.md.

One file for each target, with `one_input`, which returns for any bytes and raises for none, and
`seeds`, the inputs to begin with.
"""
