"""Notebooks: the style that they draw in (`drawing`), and pages made of them (`export`)."""
