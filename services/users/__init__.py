"""Users: tokens, quotas, sessions at the page."""
