"""Layer `adapters`; see docs/architecture.md."""
