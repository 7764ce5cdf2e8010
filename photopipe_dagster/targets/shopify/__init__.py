"""Shopify as a target: what publishing needs of its API's client, `photopipe_dagster.shopify`."""
