"""Where photos come from: one folder a source, read from one registry."""
