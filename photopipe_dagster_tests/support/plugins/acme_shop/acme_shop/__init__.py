"""Pictures into an Acme shop."""
