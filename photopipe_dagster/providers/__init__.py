"""Who cuts products out and makes backgrounds: one folder a provider, read from one registry."""
