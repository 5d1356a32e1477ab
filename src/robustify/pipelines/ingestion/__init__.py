"""Raw data to verified training and test sets."""
