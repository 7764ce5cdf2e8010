"""Photos that somebody puts into a folder, of this machine or of a network drive."""
