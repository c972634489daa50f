"""Models: checkpoints as files, their manifests, and who may see which."""
