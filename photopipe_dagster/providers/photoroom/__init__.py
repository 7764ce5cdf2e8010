"""Photoroom: cut-outs, and backgrounds from words."""
