"""Three packages as somebody else would write them, and the services that they speak with."""
