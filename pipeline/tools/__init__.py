"""Commands for people who look at results or train the networks."""
