"""Shows what a built data set holds, and checks whether it is damaged."""
