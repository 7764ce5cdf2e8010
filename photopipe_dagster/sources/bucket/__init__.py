"""Photos that somebody puts into an S3 bucket."""
