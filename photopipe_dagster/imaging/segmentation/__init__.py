"""The cut-out network: the local provider cuts out with it, and checks ask what it sees."""
