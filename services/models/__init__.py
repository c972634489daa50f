"""Models: checkpoints as files, their manifests, and access to them."""
