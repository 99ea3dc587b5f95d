"""The web server: REST routes and the page, on one queue."""
