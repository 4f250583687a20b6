"""Programs of other environments that benchmarks compare with; see `alternation.serve`."""
