"""Szegedy's attack (Eq. 1) on every net: the smallest perturbation that flips a label."""
