"""Reports: one page template and one figure style for runs, projects, explorations and fits of the cost model."""
