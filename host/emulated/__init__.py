"""Devices without hardware: the compiled C++ in a process of its own, functional and timed, bare and behind PYNQ."""
