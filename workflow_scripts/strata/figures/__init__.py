"""Figures: each function takes tidy tables and returns the figure with the table it draws.

`catalogue` says which figures a study has and `models` how a model looks everywhere (neither needs
matplotlib); `style` holds the one matplotlib style and the writer, `axes` the shared furniture,
`drawing` calls the others, which are the figures themselves.
"""
