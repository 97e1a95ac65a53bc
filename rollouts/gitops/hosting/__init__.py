"""What a Git host tells us (webhooks) and is told: commit statuses, reverts, the record of the last good revision."""
