"""What the programs in `run/` do, as functions."""
