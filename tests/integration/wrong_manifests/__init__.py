"""Manifests that users get wrong, and what they are told."""
