"""Generative models of vectors, fitted in closed form or by EM: no gradient, no class told from another."""
