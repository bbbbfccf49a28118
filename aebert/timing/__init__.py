"""Timed emulation: what goes in (loop schedules, array rules, port timing) and what comes out (a typed result)."""
