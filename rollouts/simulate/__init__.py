"""What would this spec do? The pure core in virtual time, with a model of pods, metrics and people."""
