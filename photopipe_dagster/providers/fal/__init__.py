"""fal: cut-outs and backgrounds by the models that run there."""
