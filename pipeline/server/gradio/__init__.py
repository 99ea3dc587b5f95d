"""Gradio's queue; no other package touches Gradio's internals."""
