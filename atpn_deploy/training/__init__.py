"""The paper's three training stages (section 3.4)."""
