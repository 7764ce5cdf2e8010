"""Keeping it running: doctor, reconciliation of the three places of truth, retention, alerts."""
