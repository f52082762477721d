"""Training: data, views, the loop, and what it leaves on disk."""
