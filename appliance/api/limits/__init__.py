"""GET /v1/limits, /v1/warnings, /v1/usage, /v1/fees, and bills that are closed as letters."""
