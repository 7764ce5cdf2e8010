"""OpenAI Images: backgrounds."""
