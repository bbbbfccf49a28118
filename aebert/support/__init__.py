"""What any program needs: errors, whole files, digests, progress, cores, native builds; nothing of models or FPGAs."""
