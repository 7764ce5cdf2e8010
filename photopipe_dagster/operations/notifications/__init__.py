"""Telling people: what needs them, through the channels that they named, each thing once."""
