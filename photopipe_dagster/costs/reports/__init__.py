"""Cost reports: what was spent on what, how it goes on, and who is told."""
