"""What all providers that are services of others have in common."""
