"""Speech engines: text in, sound with timing out."""
