"""The provider of pure white backgrounds."""
