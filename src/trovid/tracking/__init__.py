"""Identities through a video."""
