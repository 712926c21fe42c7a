"""What was tracked, as a file: JSON Lines, CSV or Parquet, written while the video runs."""
