"""What a candidate is worth without fine-tuning: rows, prepared weights, shared evaluation, kernels, racing."""
