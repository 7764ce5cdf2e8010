"""Cut-outs and backgrounds by Acme."""
