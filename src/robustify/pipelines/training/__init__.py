"""One net by Algorithm 1: baseline, control and robust nets differ in their uncertainty set and seed."""
