"""Maps of what a model looks at, and checks of such maps."""
