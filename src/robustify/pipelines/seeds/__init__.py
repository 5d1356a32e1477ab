"""One experiment across seeds: what is measured of the stored nets, and gathered."""
