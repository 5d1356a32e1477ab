"""Catalog data sets of our own."""
