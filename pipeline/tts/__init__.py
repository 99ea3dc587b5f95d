"""Speech engines: from text to sound with timing."""
