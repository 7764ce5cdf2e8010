"""Themes: what one is (`model`), those that ship (`builtin`), which are offered (`registry`)."""
