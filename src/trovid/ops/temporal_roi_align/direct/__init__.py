"""The direct backend: torch calls, on any device."""
