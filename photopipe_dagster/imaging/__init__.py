"""Pictures: pure functions over arrays and bytes, which know no photo, job or shop.

`decode` reads files, `composite` and `finishing` set a product into a scene, `measures` and
`fidelity` look at what came of it, `segmentation` has the network that finds products.
"""
