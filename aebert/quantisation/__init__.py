"""From float32 to the integers of docs/numerics.md: calibration, scales, rounding, storage, error report.

Nothing is imported here, so that reading a stored encoder does not load torch.
"""
