"""The programs: flags, wiring, one call each."""
