"""Many videos: jobs, resuming, results."""
