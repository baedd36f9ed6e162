"""Read cells from C-NMC, from folders and from tables; check them, and tell what is known."""
