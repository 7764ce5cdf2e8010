"""Photopipe: product photos in, pictures that sell out."""
