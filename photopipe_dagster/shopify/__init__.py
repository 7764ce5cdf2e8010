"""The client of Shopify's Admin API: products, files and media of one store; it knows no photo.

`client` speaks GraphQL, `products` finds the product of a SKU, `product_media` is the order of a
product's media, `files` Shopify's file library beneath it, `access` what the app may do.
"""
