"""Analysis: numbers in, verdict out. Knows nothing of Kubernetes.

Reading order: `model` (the values), `judge` (measurements and limits -> phase), `schedule` (what is
measured when), `condition` (one value -> phase), `template` and `parse` (spec -> metrics), `providers`
and `pool` (the only parts that talk to anything).
"""
