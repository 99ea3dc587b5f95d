"""Commands that inspect results or train the networks."""
