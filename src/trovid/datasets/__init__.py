"""Labelled videos: one reader a file, and the built-in benchmark."""
