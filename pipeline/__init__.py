"""Text in, a speaking person out: ``text -> speech -> mouth movement -> video``."""
