"""Groups of subjects, near-duplicates, and splits that keep groups apart."""
