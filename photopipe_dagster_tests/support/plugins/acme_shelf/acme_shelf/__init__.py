"""Photos from an Acme shelf."""
