"""What every part stands on: cancelling, threads that work ahead, files that grow, processes, the card."""
