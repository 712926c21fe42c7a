"""What runs on the device: one archive that needs Python, NumPy and a runtime."""
