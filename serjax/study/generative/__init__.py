"""One (variational) autoencoder per emotion, from flags to outcome."""
