"""One file per experiment; `README.md` beside this holds the results."""
