"""What a built data set holds, and whether it is sound."""
