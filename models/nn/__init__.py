"""Layers and likelihoods that two or more models share."""
