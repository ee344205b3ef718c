"""How notebooks draw."""

# For a screen, which is read from further away than the paper's columns.
_TEXT = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
}


def use_style() -> None:
    """Draw in the style of the figures from here on, as vectors that are the same every time."""
    import matplotlib as mpl
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    from strata.figures.style import RC

    mpl.rcParams.update(RC | _TEXT)
    set_matplotlib_formats("svg", metadata={"Date": None, "Creator": "strata"})
