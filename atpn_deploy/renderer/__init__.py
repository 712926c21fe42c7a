"""Synthetic faces of the ICT 3D face model: pictures with exact landmarks and exact pose."""
