"""Filing with authorities: what workers send, and what applications see of it (docs/filing.md)."""
