"""Boards through PYNQ and XRT: drivers, bitstreams, sensors."""
