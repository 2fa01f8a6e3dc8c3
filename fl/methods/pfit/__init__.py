"""Policy optimisation of the last blocks, under rewards that each client weighs for itself."""
