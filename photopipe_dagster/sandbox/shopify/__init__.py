"""Simulator of Shopify's Admin GraphQL API, over a subset of its schema."""
