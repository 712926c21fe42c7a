"""What a network or an exported file achieves, measured and laid out as in the paper."""
