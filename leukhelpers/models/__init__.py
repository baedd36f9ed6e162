"""Networks and classical models: build, train, save and ask them."""
