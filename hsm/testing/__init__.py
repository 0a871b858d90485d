"""A pytest plugin with throwaway tokens, and a module that misbehaves on command."""
