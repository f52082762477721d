"""Engines: whatever answers nearest-neighbour queries behind ``indexer.protocols.Engine``."""
