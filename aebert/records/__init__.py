"""Measured facts with where they came from, in an append-only SQL table. See docs/records.md.

Nothing is imported here: the names of sources are needed where no database is.
"""
