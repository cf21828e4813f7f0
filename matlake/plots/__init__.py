"""One style of plots, and one way to save them."""
