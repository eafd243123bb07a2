"""See how a convolutional network reads a digit, number by number."""
