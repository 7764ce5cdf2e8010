"""The object store, a local folder or S3, and what is known of the pictures in it."""
