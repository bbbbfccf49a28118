"""Which candidates are tried next: random, Optuna's, and the surrogate of our own."""
