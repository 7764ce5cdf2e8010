"""Photos that any system announces by signed webhooks."""
