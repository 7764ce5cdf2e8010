"""Shopify: finding the product of a SKU and publishing its picture, once.

`client` speaks GraphQL, `products` and `media` are what a stage calls, `files` is Shopify's file
library beneath `media`, `access` says what is missing before anything is tried.
"""
