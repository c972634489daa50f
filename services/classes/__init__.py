"""Classes: groups of users who join by a link, for a day."""
