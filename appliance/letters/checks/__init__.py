"""What must hold between the parts of a kind, a module a matter. Use appliance.letters.check."""
