"""Studies: grids of pretrainings and evaluations that are compared at equal cost."""
