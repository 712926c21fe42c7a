"""Thousands of videos: each tracked once, by many workers, on one machine or on many."""
