"""Requests, and the jobs that fulfil them."""
