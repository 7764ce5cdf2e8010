"""Shopify: finding the product of a SKU and publishing its picture, once.

`client` speaks GraphQL, `products` and `media` are what a stage calls, `gallery` is the order of a
product's media and `files` Shopify's file library beneath them, `access` says what is missing
before anything is tried.
"""
