"""Where files come from: Git, registries, chart repositories, what proves who we are there, and who signed."""
