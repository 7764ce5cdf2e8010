"""HTTP: the client that repeats only what may be repeated, limits of speed, and safe downloads."""
