"""Train, cross-validate, evaluate and sweep; write what comes out to a folder."""
