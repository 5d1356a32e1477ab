"""What is wrong with a run's parameters, found before any long work and told at once."""
