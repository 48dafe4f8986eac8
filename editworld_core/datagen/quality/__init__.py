"""How good a data set is: measures of every triplet, near-duplicates, balance, filters, and a page to look at."""
