"""Webhooks that tell other programs what became of jobs."""
