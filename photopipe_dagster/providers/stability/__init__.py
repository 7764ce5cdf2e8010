"""Stability AI: cut-outs, and backgrounds by Stable Image."""
