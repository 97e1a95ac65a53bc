"""Objects as Git declares them and as the cluster has them: what differs, in which order, how they are. Pure."""
