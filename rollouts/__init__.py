"""Progressive delivery and GitOps for Kubernetes, in one controller."""

__version__ = "0.1.0"
