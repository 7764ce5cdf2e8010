"""Google Gemini: backgrounds."""
