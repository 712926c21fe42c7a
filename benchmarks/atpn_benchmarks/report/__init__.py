"""What a run looks like to people: one HTML page, tables for terminal and Markdown, plots."""
