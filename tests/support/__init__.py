"""What tests share: builders of objects, clients, recordings, waiting.

`env/` sets one module or system up, `fakes/` plays its other side, `plugins/` are those of pytest, which know nothing of the product.
"""
