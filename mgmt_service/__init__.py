"""The management service. Its pages and API arrive with the ceremonies."""
