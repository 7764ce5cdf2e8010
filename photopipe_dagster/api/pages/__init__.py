"""The pages that people work in: server-rendered, with forms that work without a script.

Reads come from the ledger alone. Pictures are served by our own address, small ones from a cache,
so that no page carries a signed URL.
"""
