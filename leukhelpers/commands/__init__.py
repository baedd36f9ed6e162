"""The commands of ``leuk``; each calls one function of the package."""
