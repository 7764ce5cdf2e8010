"""The way of a photo: `runner.whole_way` has it on one screen.

`runner` takes many photos through it at once, `stages/` has a function for each stage, `purchase`
the order of steps around money, and `external` lets an orchestrator outside do a stage itself.
"""
