"""The paper's loop on video: a face is detected once, then found again from its own landmarks."""
