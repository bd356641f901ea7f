"""What `trovid bench` runs: one file a benchmark, and the small modules that they share."""
