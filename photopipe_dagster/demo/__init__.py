"""`make demo` and `make dev`: the whole of Photopipe on one machine, over the simulators."""
