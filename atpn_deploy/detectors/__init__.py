"""Where a face could be: detectors propose squares, and ATPN's confidence judges them."""
