"""Design space exploration: which hardware config runs a workload best on a board. All figures are predictions."""
