"""Data sets: labelled crops as files, their manifests, and access to them."""
