"""Experiments in the process: store, reconciler, writes. `wiring.part` puts them together."""
