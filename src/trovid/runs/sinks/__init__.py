"""Files of results, one a format."""
