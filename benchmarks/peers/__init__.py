"""One module per peer. Each has `prepare(population, setting)`, which imports nothing late, compiles, warms up
and returns `solve() -> (D, c1)`, both of shape (patients, 229). `setting` is the relative tolerance."""
