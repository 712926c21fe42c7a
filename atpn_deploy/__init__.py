"""ATPN in PyTorch and everything that defines it: contract, weights, crop, parity, metrics."""

__version__ = "0.1.0"
