"""What should happen to an Experiment; pure. Reads top down from `plan.decide`."""
