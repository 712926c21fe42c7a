"""Charts as geometry in pixels, which the templates draw as SVG."""
