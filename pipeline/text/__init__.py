"""Reading text aloud: its language, numbers, symbols and sound changes."""
