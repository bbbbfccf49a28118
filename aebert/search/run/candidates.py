"""How many candidates a search tries by default; light to import, for those that only say it."""

# Of one size a longer search hardly gains (docs/search.md); a range of ratios shares them among the sizes of its front.
CANDIDATES, CANDIDATES_OF_A_RANGE = 64, 128
