"""One net under each objective, side by side."""
