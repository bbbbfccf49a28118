"""One search from start to end: rounds, study, choice, summary, results, hardware in the loop."""
