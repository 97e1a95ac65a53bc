"""Kustomize, Helm, substitution and decryption: from the files of a commit to rendered objects."""
