"""What can be chosen: the grid of kept counts, exact budgets, and the space that samplers draw from."""
