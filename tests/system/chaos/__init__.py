"""Chaos: real processes, disturbed at random moments, and the proof that nothing was lost.

`make test-all` runs a short version, `make chaos` the long one. Everything random comes from one seed, which a failing
test shows; `CHAOS_SEED=<number>` repeats it, as far as processes can be repeated.
"""
