"""Fixtures: throwaway tokens."""
