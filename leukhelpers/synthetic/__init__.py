"""Draw a synthetic dataset with the layout of C-NMC."""
