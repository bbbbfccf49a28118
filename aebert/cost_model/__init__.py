"""Latency and resources before synthesis, each with an interval: closed form, fits on real reports, fit."""
