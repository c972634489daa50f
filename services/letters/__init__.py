"""Letter centres: their statuses, and the coding desk for letters that they reject."""
