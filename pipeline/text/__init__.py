"""How written text is read aloud: its language, numbers, symbols and sound changes."""
