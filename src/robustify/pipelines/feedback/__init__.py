"""Fixed adversarial examples of the training images, fed back into the training data."""
