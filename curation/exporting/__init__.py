"""What rows an export has and how they are written down. Pure: no database, no clock.

`records` is what was judged, prompt by prompt; a module of `kinds` makes rows of it; `checking` says which of them no trainer
would load; a module of `shapes` writes them as a trainer's own readers expect them.
"""
