"""Manifests of other tools as ours: Flagger's Canary and MetricTemplate, and a plain Deployment."""
