"""The verification ladder: PyTorch fp32 subnet (L0), integer reference (L1), device (L2 emulated, L4 board)."""
