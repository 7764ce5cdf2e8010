"""The embedded provider: cut-outs and backgrounds without a key or a network."""
