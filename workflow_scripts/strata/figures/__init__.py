"""Figures: each function takes tidy tables and returns the figure with the table it draws.

`models` fixes how a model looks everywhere (and needs no matplotlib), `style` holds the one
matplotlib style and the writer, `axes` the shared furniture, and `concepts`, `truth` and
`pictures` the figures themselves.
"""
