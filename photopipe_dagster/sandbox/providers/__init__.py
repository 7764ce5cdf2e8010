"""Simulators of providers, one module each, and beside it a table of its operations.

A module has a class `StandIn`; it is served under its own path, without a line elsewhere.
"""
