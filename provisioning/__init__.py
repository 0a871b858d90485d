"""Factory and site: device identity, token initialisation, first keys and certificates."""
