"""Predictions in Parquet: one row a detection, a frame without any one row with an empty label."""
