"""PKCS#11 only: URIs, modules, lanes, keys. Knows nothing of letters, tenants or HTTP."""
