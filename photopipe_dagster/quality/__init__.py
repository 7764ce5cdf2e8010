"""Limits of quality (`gates`) and what a check found (`results`)."""
