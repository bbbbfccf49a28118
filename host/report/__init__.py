"""The report of a project: one HTML file that opens without a network."""
