"""Freepik, since 2026 Magnific: cut-outs by its remove-background, backgrounds by Mystic."""
