"""Where pictures are published: one folder a kind of shop, read from one registry."""
