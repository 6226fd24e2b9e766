"""One vector per clip and a classical model, from flags to outcome."""
