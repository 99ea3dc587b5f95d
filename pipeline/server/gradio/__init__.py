"""Gradio's queue; nothing else touches Gradio's insides."""
