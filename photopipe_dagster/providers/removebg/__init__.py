"""remove.bg: cut-outs."""
