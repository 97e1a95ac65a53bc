"""Manifests of other tools as ours: Flagger, plain Deployments, Argo CD's Applications, Flux's Kustomizations."""
